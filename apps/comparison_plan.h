// What a comparison runs: models x configurations x rounds, each a call of `convoy train`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "apps/compared_strategies.h"
#include "apps/settings.h"

namespace convoy {

struct ComparedModel {
  std::string model;    // as --model takes it
  std::string label;    // unique in the comparison, fit for the name of a folder
  std::string dataset;  // that it is trained on
  int64_t parameters = 0;
  int64_t multiply_adds = 0;  // of one sample's forward pass
};

struct PlannedRun {
  size_t model, configuration;  // indices into the plan
  int64_t round;                // from 1
};

struct ComparisonPlan {
  std::vector<ComparedModel> models;
  std::vector<Configuration> configurations;  // the first is serial
  int64_t repeats = 3;
  bool quick = false;
  GivenOptions options;            // of every training
  std::string evaluated = "test";  // what accuracies are measured on, as Settings::evaluated()
  std::vector<std::string> notes;  // what is left out or stands in for something else, and why; a line each

  // Model by model, each in rounds of all configurations: what disturbs the machine for a while disturbs all of them.
  std::vector<PlannedRun> runs() const;
  // "mnist-cnn/ddp-2-round-1", below the comparison's folder.
  std::filesystem::path folder_of(const PlannedRun& run) const;
  // All that `convoy train` is given, but for --run, --save and --log-every.
  GivenOptions training_options(const PlannedRun& run) const;
};

// Throws Error(usage) for what could not run or would compare nothing, Error(data) when there is no data for any model.
ComparisonPlan make_plan(const GivenOptions& given);

}  // namespace convoy
