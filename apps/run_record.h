// A run as its folder tells of it: what it was meant to be (config.json), how it went (metrics.jsonl), and whether it
// goes on.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "apps/log_line.h"
#include "apps/run_config.h"

namespace convoy {

enum class RunState {
  done,
  interrupted,  // by a signal, in its own way
  failed,       // by an error that it could tell
  running,      // a process is writing to its log
  killed,       // the log just ends
};
const char* state_name(RunState state);

struct RunRecord {
  std::filesystem::path folder;
  RunConfig config;
  std::vector<LoggedStep> steps;
  std::vector<LoggedEpoch> epochs;
  std::optional<LoggedEnd> end;
  RunState state = RunState::killed;
  std::string torn;  // tells of a last line of the log that is not whole, and left out; empty when there is none

  std::string name() const;         // the folder's own
  int64_t steps_per_epoch() const;  // by the settings
  int64_t planned_epochs() const;   // likewise; the last may be cut by --steps
  int64_t epochs_done() const;
  int64_t steps_done() const;  // when the last epoch ended, or when it was interrupted
  // Of the weights that it ended with, which with --patience are the best ones; while it lasts, of the last epoch; or
  // null.
  const Evaluation* evaluation() const;
  double seconds() const;  // of training, as far as it was written down
  std::optional<double> samples_per_second() const;
  const char* evaluated() const { return config.settings.evaluated(); }
};

enum class WithSteps { yes, no };  // whether those that were logged are read, most of a log

// Throws Error(data) naming the file and the line that makes no sense, also for a folder that holds no run.
RunRecord read_run_record(const std::filesystem::path& folder, WithSteps with_steps = WithSteps::yes);

// Whether there is a configuration of a run in it.
bool is_run_folder(const std::filesystem::path& folder);

}  // namespace convoy
