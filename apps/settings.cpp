#include "apps/settings.h"

#include <sstream>

#include "apps/device_options.h"
#include "apps/options.h"
#include "apps/recipes.h"
#include "data/dataset.h"
#include "tensor/device.h"
#include "tensor/error.h"

namespace convoy {
namespace {

void apply_recipe(const Recipe& recipe, Settings& settings) {
  settings.model = recipe.model;
  std::istringstream words(recipe.options);
  for (std::string name, text; words >> name >> text;) find_option(name).set(settings, text);
}

// An option that would be ignored is a mistake worth telling.
void check_used(const GivenOptions& given, const char* option, bool used, const std::string& where) {
  CHECK(used || !given.contains(option), "{}: has no effect with {}", option, where);
}

}  // namespace

Settings resolve(const GivenOptions& given) {
  Settings settings;
  settings.threads = current_stream().threads;

  if (const auto name = given.find("--dataset"); name != given.end()) {
    settings.dataset = name->second;
  } else {
    // With --data the user has data in mind: if MNIST is not there, loading says so.
    const bool has_mnist = given.contains("--data") || !find_dataset_row("mnist").find({}).empty();
    settings.dataset = has_mnist ? "mnist" : "synthetic";
  }
  settings.augment = find_dataset_row(settings.dataset).augment_by_default;

  const auto model = given.find("--model");
  settings.model = model == given.end() ? "" : model->second;
  const Recipe* recipe = find_recipe(settings.dataset, settings.model);
  CHECK(recipe != nullptr || !settings.model.empty(), "data set {}: has no default model, name one with --model",
        settings.dataset);
  if (recipe != nullptr) apply_recipe(*recipe, settings);
  for (const auto& [name, text] : given) find_option(name).set(settings, text);

  const bool on_gpu = parse_device(settings.device).kind == Device::Kind::cuda;
  const std::string device = "--device " + settings.device;
  check_used(given, "--precision", on_gpu || settings.precision == "fp32", device);
  check_used(given, "--conv-algo", on_gpu || settings.conv_algo == "auto", device);
  check_used(given, "--graph", on_gpu, device);
  check_used(given, "--workers", !on_gpu, device + ", where batches are made on the GPU");
  const std::string optimizer = "--optimizer " + settings.optimizer, schedule = "--schedule " + settings.schedule;
  check_used(given, "--momentum", settings.optimizer == "sgd", optimizer);
  check_used(given, "--nesterov", settings.optimizer == "sgd", optimizer);
  check_used(given, "--data", settings.dataset != "synthetic", "--dataset synthetic");
  check_used(given, "--warmup-steps", settings.schedule != "one-cycle", schedule);
  check_used(given, "--step-every", settings.schedule == "step", schedule);
  check_used(given, "--step-factor", settings.schedule == "step", schedule);
  CHECK(settings.optimizer != "sgd" || !settings.nesterov || settings.momentum > 0,
        "--nesterov on: has no effect with --momentum 0");
  return settings;
}

}  // namespace convoy
