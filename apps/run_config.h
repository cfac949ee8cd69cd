// config.json of a run: all settings by their options' names ("batch": 64), and what they met: the program, its
// kernels, the numbers of images and what they are (model_input.h). What a run is resumed with comes from it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "apps/model_input.h"
#include "apps/settings.h"

namespace convoy {

inline constexpr const char* kConfigFile = "config.json";

// What a run's settings have met.
struct RunFacts {
  int64_t training_images = 0, evaluated_images = 0;
  int64_t parameters = 0;           // of the model; 0: not told
  std::optional<ModelInput> input;  // what the images are; none in runs of a Convoy that did not keep it
};

// `run`: its folder. Tells also the time, now.
std::string config_text(const Settings& settings, const std::filesystem::path& run, const RunFacts& facts);

struct RunConfig {
  std::string text;  // the whole file
  Settings settings;
  std::string version, kernels;  // of the program that began the run
  std::string began;             // "2026-11-24T09:30:00Z"; empty in runs of older versions
  RunFacts facts;
};

// Reads it back. Throws Error(data) naming the file and the setting that makes no sense.
RunConfig read_config(const std::filesystem::path& run);
// The same from its text, as a checkpoint keeps it; `where` begins the errors' messages. settings.run is what it was.
RunConfig parse_config(std::string text, const std::string& where);

// Throws Error(data) that names the first setting in which `config`, of the run in folder `run`, is not as `other` has
// it, which `where` tells.
void check_same_config(const std::string& config, const std::filesystem::path& run, const std::string& other,
                       const std::string& where);

}  // namespace convoy
