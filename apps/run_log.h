// The record of a run: a new folder with config.json (all effective settings) and metrics.jsonl (one object a
// line, as it happens), of which there are copies for other programs (log_copies.h).
//
//   {"event":"step","step":50,"epoch":1,"loss":0.3104,"lr":0.001}
//   {"event":"epoch","epoch":1,"step":938,"lr":0.001,"train_loss":…,"train_accuracy":…,"test_loss":…,
//    "test_accuracy":…,"seconds":…}
//
// and as the last line one of
//   {"event":"summary","test_accuracy":98.1,"test_loss":0.06,"seconds":31.2,"samples_per_second":9615}   the whole run
//   {"event":"interrupted","step":…,"epoch":…,"seconds":…,"samples_per_second":…}                        by a signal
//   {"event":"failed","message":"step 3 (epoch 1): the loss is nan: …"}                                  by an error
//
// With --patience the summary is of the best epoch and adds "best_epoch":4,"stopped_early":true.
//
// Trainings in parallel add to an epoch where its seconds went on rank 0, as StepTimes says (parallel/data_parallel.h):
// copy_seconds, compute_seconds, exchange_seconds and reduce_seconds (parts of compute's), communicate_seconds,
// update_seconds.
//
// Accuracies are in percent; with --holdout the names begin with validation_ instead of test_. Numbers have
// as many digits as it takes to read back the same value. Seconds count training alone: neither loading nor
// evaluation.
#pragma once

#include <filesystem>
#include <string>

#include "apps/appended_file.h"
#include "apps/log_copies.h"
#include "apps/run_config.h"
#include "apps/trainer.h"

namespace convoy {

// A run that is resumed goes on with the log as it was at the checkpoint, so that no line is missing or there twice.

// Throws Error(io) unless all that a training leaves can be written: the folder of its run, unless that is resumed, and
// the files of --save and --trace, which may lie in it. Leaves nothing behind.
void check_outputs(const Settings& settings);

// The last line of a run's metrics.jsonl, without its end; empty when there is none.
std::string last_line_of_log(const std::filesystem::path& run);

class RunLog {
 public:
  // Creates the folder, settings.run or a fresh runs/<model>-<dataset>-<time>, and writes config.json. Leaves nothing
  // behind when it throws.
  RunLog(const Settings& settings, const RunFacts& facts);
  // Opens the log of the run that is resumed, as it is. Throws Error(io) when another process writes to it.
  explicit RunLog(const RunConfig& resumed);
  RunLog(const RunLog&) = delete;
  RunLog& operator=(const RunLog&) = delete;

  const std::filesystem::path& folder() const { return folder_; }

  const std::string& config() const { return config_; }  // the text of config.json

  // What is written so far reaches the disk; returns its size in bytes, by which rewind() finds it again.
  int64_t sync();
  // Removes what was written later, also from the copies. Throws Error(data) for a log that is shorter.
  void rewind(int64_t bytes);

  void step(const StepReport& report);
  void epoch(const EpochReport& report);
  void summary(const TrainingResult& result);
  void interrupted(const TrainingResult& result);
  // As far as it can: the error that it tells matters more than one of its own. A run without a single step is
  // removed, so that the next may have its name.
  void failed(const std::string& message);

 private:
  void write_line(const std::string& line);  // throws Error(io) when it cannot
  void remove();
  friend void check_outputs(const Settings& settings);

  std::filesystem::path folder_, first_created_;  // the latter: it or a parent, empty when it was there before
  std::string config_;
  std::string evaluated_;  // "test" or "validation"
  int64_t log_every_;
  AppendedFile metrics_;  // locked: one process writes a run
  LogCopies copies_;
  bool began_ = false;  // a step is complete
};

}  // namespace convoy
