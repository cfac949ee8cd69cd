// Trainings that end before their time and are resumed, and what they leave.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/apps/run_convoy.h"

namespace convoy {

// All that must not depend on whether a training was resumed.
struct TrainingOutcome {
  std::string weights;  // the bytes of --save
  std::string log;      // metrics.jsonl without the numbers that tell times
  std::string copies;   // metrics.csv, steps.csv and TensorBoard's events, likewise
  bool operator==(const TrainingOutcome&) const = default;
};

// Of the training in `folder`/`run` that has written the weights `folder`/`weights`.
TrainingOutcome outcome_of(const TemporaryFolder& folder, const std::string& run, const std::string& weights);

// "run/checkpoints/step-00000007.safetensors".
std::filesystem::path step_file(const std::filesystem::path& run, int64_t step);

// Names of all checkpoints of a run, sorted.
std::vector<std::string> checkpoints_of(const std::filesystem::path& run);

// Copies a complete run that has kept a checkpoint of every step to what it would be had it been killed after step
// `step`: its log goes on beyond the checkpoint.
void copy_killed_run(const std::filesystem::path& complete, const std::filesystem::path& killed, int64_t step);

}  // namespace convoy
