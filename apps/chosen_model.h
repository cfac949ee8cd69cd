// The network that --model and --dataset, or the run of a saved model, name, for commands that need no images: summary,
// export, import.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "apps/run_config.h"
#include "layers/models.h"

namespace convoy {

struct ChosenModel {
  std::string model, dataset;  // as --model and --dataset have them
  ImageExtent input;
  int64_t classes;
  std::unique_ptr<Module> net;           // not yet initialised
  std::optional<ModelInput> trained_on;  // where a run tells
};

// That of a run. Loads nothing, unless the run of an older Convoy was trained on a folder of images.
ChosenModel choose_model(const RunConfig& run);

// As the options say; without --dataset the first with a recipe for the model, else mnist.
ChosenModel choose_model(const GivenOptions& given);

// "lenet5 for mnist, 61,706 parameters"
std::string text_of(const ChosenModel& chosen);

}  // namespace convoy
