#include "apps/model_input.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "tensor/error.h"

namespace convoy {
namespace {

using Json = nlohmann::ordered_json;

// Through its shortest decimal form: 0.4914, not 0.49140000343322754.
Json channels(const std::array<float, 4>& values, int64_t c) {
  Json list = Json::array();
  for (int64_t i = 0; i < c; ++i) list.push_back(std::stod(fmt::format("{}", values[static_cast<size_t>(i)])));
  return list;
}

bool makes_sense(const ModelInput& input) {
  const auto is_side = [](int64_t side) { return side >= 1 && side <= 1 << 14; };
  if (!is_side(input.h) || !is_side(input.w) || (input.c != 1 && input.c != 3) || input.classes.empty()) return false;
  for (size_t i = 0; i < static_cast<size_t>(input.c); ++i) {
    if (!std::isfinite(input.normalisation.mean[i]) || !(input.normalisation.std[i] > 0)) return false;
  }
  return true;
}

}  // namespace

ModelInput input_of(const Dataset& dataset) {
  return {.h = dataset.images.size(1),
          .w = dataset.images.size(2),
          .c = dataset.images.size(3),
          .normalisation = dataset.normalisation,
          .classes = dataset.classes};
}

void add_input(const ModelInput& input, Json& config) {
  config["image"] = {input.h, input.w, input.c};
  config["mean"] = channels(input.normalisation.mean, input.c);
  config["std"] = channels(input.normalisation.std, input.c);
  config["classes"] = input.classes;
}

std::optional<ModelInput> read_input(const Json& config, const std::string& where) {
  if (!config.contains("image")) return {};
  ModelInput input;
  bool whole = false;
  try {
    const auto image = config.at("image").get<std::array<int64_t, 3>>();
    input = {.h = image[0], .w = image[1], .c = image[2], .normalisation = {}, .classes = config.at("classes")};
    const std::vector<float> mean = config.at("mean"), std = config.at("std");
    whole = static_cast<int64_t>(mean.size()) == input.c && mean.size() == std.size() && mean.size() <= 4;
    if (whole) {
      std::ranges::copy(mean, input.normalisation.mean.begin());
      std::ranges::copy(std, input.normalisation.std.begin());
    }
  } catch (const Json::exception&) {
  }
  if (!whole || !makes_sense(input))
    fail(ErrorKind::data, "{}: 'image', 'mean', 'std' and 'classes' make no sense together", where);
  return input;
}

}  // namespace convoy
