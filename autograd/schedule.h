// Learning-rate schedules: pure functions of the step, so resuming needs nothing but the step.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace convoy {

struct ScheduleOptions {
  float lr = 1e-3f;          // the peak learning rate
  int64_t total_steps = 1;   // of the whole training
  int64_t warmup_steps = 0;  // linear: from lr/warmup_steps up to lr
  int64_t step_every = 1;    // step: every so many steps …
  float step_factor = 0.1f;  // … the rate is multiplied by this
};

// One row per schedule; the command line's choices and help come from this table.
struct Schedule {
  const char* name;  // "constant", "step", "cosine", "linear", "one-cycle"
  const char* help;
  float (*rate)(const ScheduleOptions&, int64_t step);  // learning rate of step 0, 1, …, total_steps - 1
};

std::span<const Schedule> schedules();
const Schedule& find_schedule(std::string_view name);  // throws unknown_name

}  // namespace convoy
