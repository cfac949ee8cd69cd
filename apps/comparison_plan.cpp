#include "apps/comparison_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/data_request.h"
#include "apps/layer_table.h"
#include "apps/number_text.h"
#include "apps/options.h"
#include "apps/recipes.h"
#include "apps/run_folder.h"
#include "data/dataset.h"
#include "layers/models.h"
#include "parallel/mpi.h"
#include "tensor/error.h"

namespace convoy {
namespace {

bool own_option(const std::string& name) {
  return std::ranges::any_of(comparison_option_table(), [&](const OptionRow& row) { return row.name == name; });
}

// Those of `convoy compare` alone, with their defaults.
Settings own_settings(const GivenOptions& given) {
  Settings settings;
  for (const auto& [name, text] : given) {
    if (own_option(name)) find_option(name).set(settings, text);
  }
  if (settings.workers_list.empty()) settings.workers_list = {1, 2};
  if (!given.contains("--workers-list") && !settings.quick) settings.workers_list.push_back(4);
  if (settings.repeats == 0) settings.repeats = settings.quick ? 2 : 3;
  if (settings.models.empty()) settings.models = {"mnist-cnn", "cifar-cnn"};
  return settings;
}

std::vector<Configuration> configurations(const Settings& settings, std::vector<std::string>& notes) {
  std::vector<std::string> wanted = settings.strategies;
  if (wanted.empty()) {
    for (const ComparedStrategy& strategy : compared_strategy_table()) wanted.push_back(strategy.name);
  }
  std::vector<Configuration> configurations{*find_compared_strategy("serial").with(1)};
  for (const std::string& name : wanted) {
    if (name == "serial") continue;
    const size_t before = configurations.size();
    for (const int workers : settings.workers_list) {
      const std::optional<Configuration> one = find_compared_strategy(name).with(workers);
      if (!one) continue;
      if (one->ranks > 1 && !mpi::built()) {
        CHECK(settings.strategies.empty(), "--strategies: {} needs MPI: {}", name, mpi::library());
        notes.push_back(fmt::format("{} is left out: {}", one->name(), mpi::library()));
        continue;
      }
      configurations.push_back(*one);
    }
    if (configurations.size() > before || (!notes.empty() && notes.back().starts_with(name))) continue;
    const std::string fault = fmt::format("none of the workers {} suit it ({})", fmt::join(settings.workers_list, ", "),
                                          find_compared_strategy(name).help);
    CHECK(settings.strategies.empty(), "--strategies: {}: {}", name, fault);
    notes.push_back(fmt::format("{} is left out: {}", name, fault));
  }
  CHECK(configurations.size() > 1, "compare: nothing to compare with serial; name more --strategies or --workers-list");
  return configurations;
}

// The data set a model is meant for, or what stands in for it, with a note. One that is not here goes to `missing`
// instead: "mnist-cnn wants mnist; …".
std::string dataset_of(const std::string& model, const GivenOptions& given, std::vector<std::string>& notes,
                       std::vector<std::string>& missing) {
  const auto data = given.find("--data");
  const std::filesystem::path folder = data == given.end() ? "" : data->second;
  if (const auto named = given.find("--dataset"); named != given.end()) {
    const DatasetRow& row = find_dataset_row(named->second);
    if (row.takes_path) return named->second;
    if (*row.folder != 0 && row.find(folder).empty()) load_dataset({.name = row.name, .data = folder});  // which tells
    return row.name;
  }
  std::string dataset = "mnist";
  for (const Recipe& recipe : recipe_table()) {
    if (model == recipe.model) {
      dataset = recipe.dataset;
      break;
    }
  }
  const DatasetRow& row = find_dataset_row(dataset);
  if (!row.find(folder).empty()) return dataset;
  const DatasetRow& digits = find_dataset_row("synthetic");
  if (data == given.end() && row.h == digits.h && row.w == digits.w && row.c == digits.c) {
    notes.push_back(fmt::format("{}: {} was not found, synthetic digits stand in for it", one_line(model), dataset));
    return digits.name;
  }
  missing.push_back(fmt::format("{0} wants {1}; convoy data fetch {1} downloads it", one_line(model), dataset));
  return "";
}

std::string unique_label(const std::string& model, const std::vector<ComparedModel>& models) {
  const std::string label = model_label(model);
  std::string unique = label;
  const auto taken = [&](const ComparedModel& other) { return other.label == unique; };
  for (int copy = 2; std::ranges::any_of(models, taken); ++copy) unique = fmt::format("{}-{}", label, copy);
  return unique;
}

}  // namespace

std::vector<PlannedRun> ComparisonPlan::runs() const {
  std::vector<PlannedRun> runs;
  for (size_t model = 0; model < models.size(); ++model) {
    for (int64_t round = 1; round <= repeats; ++round) {
      for (size_t i = 0; i < configurations.size(); ++i) runs.push_back({model, i, round});
    }
  }
  return runs;
}

std::filesystem::path ComparisonPlan::folder_of(const PlannedRun& run) const {
  return std::filesystem::path(models[run.model].label) /
         fmt::format("{}-round-{}", configurations[run.configuration].name(), run.round);
}

GivenOptions ComparisonPlan::training_options(const PlannedRun& run) const {
  GivenOptions all = options;
  all["--model"] = models[run.model].model;
  all["--dataset"] = models[run.model].dataset;
  if (models[run.model].dataset == "synthetic") all.erase("--data");
  for (const auto& [name, text] : configurations[run.configuration].options()) all[name] = text;
  // Serial sums nothing, unless along the tree.
  const auto reduce = all.find("--reduce");
  if (all["--strategy"] == "serial" && (reduce == all.end() || reduce->second != "tree")) {
    all.erase("--reduce");
    all.erase("--bucket-mb");
  }
  return all;
}

ComparisonPlan make_plan(const GivenOptions& given) {
  const Settings settings = own_settings(given);
  ComparisonPlan plan{.models = {},
                      .configurations = {},
                      .repeats = settings.repeats,
                      .quick = settings.quick,
                      .options = {},
                      .evaluated = {},
                      .notes = {}};
  plan.configurations = configurations(settings, plan.notes);
  if (plan.quick) plan.options = {{"--epochs", "1"}, {"--limit", "2048"}, {"--holdout", "1000"}};
  for (const auto& [name, text] : given) {
    if (!own_option(name) && name != "--run") plan.options[name] = text;
  }
  std::vector<std::string> missing;
  for (const std::string& model : settings.models) {
    const std::string dataset = dataset_of(model, given, plan.notes, missing);
    if (dataset.empty()) continue;
    plan.models.push_back({model, unique_label(model, plan.models), dataset, 0, 0});
    Settings training;
    for (size_t i = 0; i < plan.configurations.size(); ++i)  // throws what train would
      training = resolve(plan.training_options({plan.models.size() - 1, i, 1}));
    plan.evaluated = training.evaluated();
    const DatasetForm form = form_of(training);
    const ImageExtent extent{form.h, form.w, form.c};
    const std::unique_ptr<Module> net = make_model(model, extent, form.classes);
    const LayerTable layers = tabulate(*net, extent);
    plan.models.back().parameters = layers.parameters;
    plan.models.back().multiply_adds = layers.multiply_adds;
  }
  const auto data = given.find("--data");
  const std::string where = data == given.end() ? "where convoy data list looks" : "in " + data->second;
  if (plan.models.empty())
    fail(ErrorKind::data, "compare: no model finds its data {}: {}", where, fmt::join(missing, "; "));
  for (const std::string& model : missing)
    plan.notes.push_back(fmt::format("left out, for its data was not found {}: {}", where, model));
  return plan;
}

}  // namespace convoy
