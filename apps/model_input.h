// What a network was trained on, as its run keeps it in config.json, so that it can be shown other pictures later: the
// size of its images, how they are normalised, and the names of the classes.
//
//   "image": [32, 32, 3], "mean": [0.4914, 0.4822, 0.4465], "std": [0.2471, 0.2435, 0.2616], "classes": ["airplane", …]
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "data/dataset.h"

namespace convoy {

struct ModelInput {
  int64_t h = 0, w = 0, c = 0;
  Normalisation normalisation;
  std::vector<std::string> classes;
  bool operator==(const ModelInput&) const = default;
};

ModelInput input_of(const Dataset& dataset);

void add_input(const ModelInput& input, nlohmann::ordered_json& config);
// Nothing for the run of a Convoy that did not keep it. Throws Error(data), beginning with `where`, for what makes no
// sense.
std::optional<ModelInput> read_input(const nlohmann::ordered_json& config, const std::string& where);

}  // namespace convoy
