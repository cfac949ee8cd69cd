// The record of a run: a new folder with config.json (all effective settings) and metrics.jsonl (one object a
// line, as it happens).
//
//   {"event":"step","step":50,"epoch":1,"loss":0.3104,"lr":0.001}
//   {"event":"epoch","epoch":1,"step":938,"train_loss":…,"train_accuracy":…,"test_loss":…,"test_accuracy":…,"seconds":…}
//   {"event":"summary","test_accuracy":98.1,"test_loss":0.06,"seconds":31.2,"samples_per_second":9615} the
//   last line of a whole run
//   {"event":"interrupted","step":…,"epoch":…,"seconds":…,"samples_per_second":…}                           …
//   of one stopped by a signal
//   {"event":"failed","message":"step 3 (epoch 1): the loss is nan: …"}                                     …
//   of one that ended in an error
//
// Accuracies are in percent; with --holdout the names begin with validation_ instead of test_. Numbers have
// as many digits as it takes to read back the same value. Seconds count training alone: neither loading nor
// evaluation.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "apps/trainer.h"

namespace convoy {

// Throws Error(io) unless a run may be written to `folder`: it does not exist or is empty.
void check_run_folder(const std::filesystem::path& folder);

// Throws Error(io) unless a file can be written at `path`; leaves nothing behind.
void check_writable(const std::filesystem::path& path);

class RunLog {
 public:
  // Creates the folder, settings.run or a fresh runs/<model>-<dataset>-<time>, and writes config.json.
  explicit RunLog(const Settings& settings);

  const std::filesystem::path& folder() const { return folder_; }

  void step(const StepReport& report);
  void epoch(const EpochReport& report);
  void summary(const TrainingResult& result);
  void interrupted(const TrainingResult& result);
  void failed(
      const std::string& message);  // as far as it can: the error that it tells matters more than one of its own

 private:
  void write_line(const std::string& line);  // throws Error(io) when it cannot

  std::filesystem::path folder_;
  std::string evaluated_;  // "test" or "validation"
  int64_t log_every_;
  std::ofstream metrics_;
};

}  // namespace convoy
