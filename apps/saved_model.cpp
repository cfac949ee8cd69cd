#include "apps/saved_model.h"

#include <nlohmann/json.hpp>

#include "apps/checkpoint_folder.h"
#include "apps/options.h"
#include "tensor/error.h"
#include "tensor/safetensors.h"

namespace convoy {

namespace fs = std::filesystem;

SavedModel find_saved_model(const fs::path& init) {
  std::error_code none;
  if (fs::is_directory(init, none)) {
    SavedModel saved{.weights = CheckpointFolder(init, 1).best_or_newest(), .config = read_config(init)};
    if (saved.weights.empty())
      fail(ErrorKind::data,
           "{}: the run has no checkpoint; name a file of weights with --init, and its --model and --dataset",
           init.string());
    return saved;
  }
  SavedModel saved{.weights = init, .config = {}};
  const TensorFile file = read_safetensors(init);
  if (const auto config = file.metadata.find("config"); config != file.metadata.end())
    saved.config = parse_config(config->second, init.string());
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

}  // namespace convoy
