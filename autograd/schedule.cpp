#include "autograd/schedule.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "tensor/error.h"
#include "tensor/find_row.h"

namespace convoy {
namespace {

// The share of lr that warm-up grants: 1 / warmup_steps at step 0, 1 from its last step on.
double warm_up(const ScheduleOptions& o, int64_t step) {
  return step < o.warmup_steps ? static_cast<double>(step + 1) / static_cast<double>(o.warmup_steps) : 1.0;
}

// How much of the time after warm-up has passed, 0 to 1.
double progress(const ScheduleOptions& o, int64_t step) {
  const int64_t length = o.total_steps - o.warmup_steps;
  if (length <= 0) return 0;
  return std::clamp(static_cast<double>(step - o.warmup_steps) / static_cast<double>(length), 0.0, 1.0);
}

// From `from` at 0 to `to` at 1 along half a cosine.
double cosine_between(double from, double to, double x) {
  return to + (from - to) * 0.5 * (1 + std::cos(std::numbers::pi * x));
}

double constant(const ScheduleOptions& o, int64_t step) { return o.lr * warm_up(o, step); }

double stepwise(const ScheduleOptions& o, int64_t step) {
  CHECK(o.step_every >= 1, "schedule step: the rate changes every {} steps, expected at least 1", o.step_every);
  return o.lr * warm_up(o, step) *
         std::pow(static_cast<double>(o.step_factor), static_cast<double>(step / o.step_every));
}

double cosine(const ScheduleOptions& o, int64_t step) {
  return o.lr * warm_up(o, step) * cosine_between(1, 0, progress(o, step));
}

double linear(const ScheduleOptions& o, int64_t step) { return o.lr * warm_up(o, step) * (1 - progress(o, step)); }

// Smith, Topin, "Super-convergence", 2018, in the form and with the constants of PyTorch's OneCycleLR: the first
// step has lr / 25, the one after 30 % of the steps lr, the last lr / 25 / 10^4, with half a cosine between each two.
double one_cycle(const ScheduleOptions& o, int64_t step) {
  constexpr double kRiseShare = 0.3, kStart = 1.0 / 25, kEnd = kStart / 1e4;
  const double last = static_cast<double>(o.total_steps - 1);
  const double peak = std::clamp(kRiseShare * static_cast<double>(o.total_steps) - 1, 0.0, last);
  const double at = std::min(static_cast<double>(step), last);
  if (at < peak) return o.lr * cosine_between(kStart, 1, at / peak);
  return o.lr * (last > peak ? cosine_between(1, kEnd, (at - peak) / (last - peak)) : 1.0);
}

template <double (*formula)(const ScheduleOptions&, int64_t)>
float rate(const ScheduleOptions& options, int64_t step) {
  return static_cast<float>(formula(options, step));
}

constexpr std::array kSchedules{
    Schedule{"constant", "the learning rate, after an optional warm-up", rate<constant>},
    Schedule{"step", "multiplied by the step factor every so many steps, after an optional warm-up", rate<stepwise>},
    Schedule{"cosine", "down to 0 along half a cosine, after an optional warm-up", rate<cosine>},
    Schedule{"linear", "down to 0 in a straight line, after an optional warm-up", rate<linear>},
    Schedule{
        "one-cycle",
        "from 1/25 up to the learning rate over 30 % of the steps, then down to almost 0, both along half a cosine",
        rate<one_cycle>},
};

}  // namespace

std::span<const Schedule> schedules() { return kSchedules; }

const Schedule& find_schedule(std::string_view name) { return find_row("schedule", name, kSchedules); }

}  // namespace convoy
