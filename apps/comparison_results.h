// What single runs of a comparison came to, read from the files that `convoy train` left.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "apps/comparison_plan.h"
#include "parallel/data_parallel.h"

namespace convoy {

struct LossPoint {
  int64_t step;
  double loss;  // of that step's batch
};

struct RunResult {
  PlannedRun run{};
  int exit_code = 0;
  std::string message = {};  // what went wrong, when the exit code is not 0; all below is then empty
  double seconds = 0;        // of training: neither loading nor evaluation
  double samples_per_second = 0;
  double loss = 0, accuracy = 0;  // at the end, on the test or validation images; percent
  int64_t training_images = 0, evaluated_images = 0;
  std::vector<LossPoint> losses = {};   // as often as they were logged
  std::optional<StepTimes> times = {};  // the sum over all steps, where they were done in parallel
  std::string weights_sha256 = {};      // of the file of weights
  bool good() const { return exit_code == 0; }
};

// Fills in what metrics.jsonl and config.json in `folder` tell. Throws Error(data) when they are not those of a whole
// run.
void read_run(const std::filesystem::path& folder, RunResult& result);

// The message for a run that failed: what `convoy train` printed on stderr last, without its "convoy: ".
std::string failure_message(const std::string& error_output);

}  // namespace convoy
