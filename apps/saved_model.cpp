#include "apps/saved_model.h"

#include <nlohmann/json.hpp>

#include "apps/checkpoint_folder.h"
#include "apps/options.h"
#include "tensor/error.h"

namespace convoy {

namespace fs = std::filesystem;

void SavedModel::load(Module& net) const { load_weights(weights_of(net), file, weights.string()); }

SavedModel find_saved_model(const fs::path& init) {
  std::error_code none;
  SavedModel saved{.weights = init, .config = {}, .file = {}};
  const bool run = fs::is_directory(init, none);
  if (run) {
    saved.weights = CheckpointFolder(init, 1).best_or_newest();
    saved.config = read_config(init);
    if (saved.weights.empty())
      fail(ErrorKind::data,
           "{}: the run has no checkpoint; name a file of weights with --init, and its --model and --dataset",
           init.string());
  }
  saved.file = read_safetensors(saved.weights);
  const auto config = saved.file.metadata.find("config");
  if (!run && config != saved.file.metadata.end()) saved.config = parse_config(config->second, init.string());
  return saved;
}

GivenOptions with_settings_of(const SavedModel& saved, const GivenOptions& given) {
  GivenOptions all = given;
  if (!saved.config) return all;
  const auto take = [&](const char* name) {
    const nlohmann::ordered_json value = find_option(name).get(saved.config->settings);
    if (!value.is_null()) all.try_emplace(name, value.is_string() ? value.get<std::string>() : value.dump());
  };
  take("--model");
  if (given.contains("--dataset")) return all;
  for (const char* name : {"--dataset", "--data", "--holdout", "--seed"}) take(name);
  if (find_dataset_row(all["--dataset"]).takes_path) {
    for (const char* name : {"--image-size", "--val-split", "--skip-bad-images"}) take(name);
  }
  return all;
}

GivenOptions with_settings_of_init(const GivenOptions& given) {
  const auto init = given.find("--init");
  return init == given.end() ? given : with_settings_of(find_saved_model(init->second), given);
}

}  // namespace convoy
