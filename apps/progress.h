// What a training shows while it runs. With a terminal on stderr: one live line there, repainted at most ten
// times a second. Without: a plain line on stdout at most every ten seconds. Lines that stay (the end of an
// epoch) always go to stdout.
//
//   epoch 2/5  ━━━━━━━━━━━━━━━━━━━━━━  469/938  9615 samples/s  ETA 0:31  loss 0.0871  acc 97.4 %
//
// Fields drop out, the least telling first, until the line fits the terminal.
#pragma once

#include <chrono>
#include <string>

#include "apps/live_line.h"
#include "apps/trainer.h"

namespace convoy {

class Progress {
 public:
  explicit Progress(const StepCount& steps);

  void step(const StepReport& report);

  // Prints a line on stdout that stays.
  void line(const std::string& text);

 private:
  void show(int64_t step_in_epoch, const StepReport& report);

  using Clock = std::chrono::steady_clock;
  StepCount steps_;
  LiveLine live_line_;
  Clock::time_point last_shown_;
  int64_t epoch_ = 0, samples_ = 0, correct_ = 0;  // running sums of this epoch
  double loss_sum_ = 0;
  std::optional<double> began_at_;  // seconds of training before this process
  int64_t all_samples_ = 0;         // in this process
};

}  // namespace convoy
