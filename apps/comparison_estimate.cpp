#include "apps/comparison_estimate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace convoy {

TimeLeft::TimeLeft(const ComparisonPlan& plan)
    : plan_(plan),
      runs_(plan.runs()),
      measured_(plan.models.size(), std::vector<Measured>(plan.configurations.size())) {}

void TimeLeft::add(const PlannedRun& run, double seconds) {
  Measured& measured = measured_[run.model][run.configuration];
  measured.seconds += seconds;
  ++measured.runs;
}

std::optional<double> TimeLeft::from(size_t next) const {
  double seconds = 0;
  for (size_t i = next; i < runs_.size(); ++i) {
    const auto [model, configuration, round] = runs_[i];
    size_t like = model;
    while (like > 0 && measured_[like][configuration].runs == 0) --like;
    const Measured& measured = measured_[like][configuration];
    if (measured.runs == 0) return {};
    seconds += measured.mean() * (like == model ? 1 : ratio(model, like));
  }
  return seconds;
}

double TimeLeft::ratio(size_t model, size_t before) const {
  double here = 0, there = 0;
  for (size_t i = 0; i < plan_.configurations.size(); ++i) {
    if (measured_[model][i].runs == 0 || measured_[before][i].runs == 0) continue;
    here += measured_[model][i].mean();
    there += measured_[before][i].mean();
  }
  if (there > 0) return here / there;
  return static_cast<double>(plan_.models[model].multiply_adds) /
         static_cast<double>(std::max<int64_t>(1, plan_.models[before].multiply_adds));
}

std::string time_left_text(double seconds) {
  constexpr double kMinute = 60, kHour = 3600;
  if (seconds < 1.5 * kMinute) return fmt::format("about {:.0f} s left", 10 * std::max(1.0, std::round(seconds / 10)));
  if (seconds < 1.5 * kHour) return fmt::format("about {:.0f} min left", seconds / kMinute);
  return fmt::format("about {:.1f} h left", seconds / kHour);
}

}  // namespace convoy
