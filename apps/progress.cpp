#include "apps/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "apps/number_text.h"

namespace convoy {
namespace {

// A part of the live line. When space is short the field with the largest rank goes first.
struct Field {
  std::string text;
  int rank;
};

int64_t width_of(const std::vector<Field>& fields) {
  int64_t width = 0;
  for (const Field& field : fields) width += static_cast<int64_t>(field.text.size()) + 2;
  return std::max<int64_t>(0, width - 2);
}

void drop_until_fits(std::vector<Field>& fields, int64_t columns) {
  while (fields.size() > 1 && width_of(fields) > columns) {
    fields.erase(
        std::max_element(fields.begin(), fields.end(), [](const Field& a, const Field& b) { return a.rank < b.rank; }));
  }
}

}  // namespace

Progress::Progress(const StepCount& steps) : steps_(steps), last_shown_(Clock::now()) {}

void Progress::step(const StepReport& report) {
  if (report.epoch != epoch_) {
    epoch_ = report.epoch;
    samples_ = correct_ = 0;
    loss_sum_ = 0;
  }
  samples_ += report.samples;
  correct_ += report.correct;
  // Of a resumed training, what this process does counts; its first step tells when it began.
  if (!began_at_) {
    began_at_ = report.step == 1 ? 0 : report.seconds;
    all_samples_ = report.step == 1 ? report.samples : 0;
  } else {
    all_samples_ += report.samples;
  }
  loss_sum_ += static_cast<double>(report.loss) * static_cast<double>(report.samples);

  const int64_t steps_before = (report.epoch - 1) * steps_.per_epoch;
  const bool last_of_epoch = report.step - steps_before == steps_.per_epoch || report.step == steps_.total;
  const Clock::time_point now = Clock::now();
  if (now - last_shown_ < live_line_.pause() && !(live_line_.live() && last_of_epoch)) return;
  last_shown_ = now;
  show(report.step - steps_before, report);
}

void Progress::show(int64_t step_in_epoch, const StepReport& report) {
  const int64_t steps_in_epoch = std::min(steps_.per_epoch, steps_.total - (report.step - step_in_epoch));
  const double seconds = report.seconds - *began_at_;
  const double rate = seconds > 0 ? static_cast<double>(all_samples_) / seconds : 0;
  const double rest =
      report.seconds / static_cast<double>(report.step) * static_cast<double>(steps_.total - report.step);
  std::vector<Field> fields{
      {fmt::format("epoch {}/{}", report.epoch, steps_.epochs()), 0},
      {fmt::format("{}/{}", step_in_epoch, steps_in_epoch), 4},
      {fmt::format("{:.0f} samples/s", rate), 5},
      {fmt::format("ETA {}", clock_text(rest)), 3},
      {fmt::format("loss {:.4f}", loss_sum_ / static_cast<double>(samples_)), 1},
      {fmt::format("acc {:.1f} %", 100.0 * static_cast<double>(correct_) / static_cast<double>(samples_)), 2},
  };
  if (!live_line_.live()) {
    std::string text = fields.front().text;
    for (size_t i = 1; i < fields.size(); ++i) text += "  " + fields[i].text;
    return line(text);
  }

  const int64_t columns = live_line_.columns();
  drop_until_fits(fields, columns);
  std::string text = fields.front().text.substr(0, static_cast<size_t>(columns));
  const int64_t bar = std::min(LiveLine::kLongestBar, columns - width_of(fields) - 2);
  if (bar >= LiveLine::kShortestBar) text += "  " + live_line_.bar(bar, bar * step_in_epoch / steps_in_epoch);
  for (size_t i = 1; i < fields.size(); ++i) text += "  " + fields[i].text;
  live_line_.show(text);
}

void Progress::line(const std::string& text) { live_line_.print(text); }

}  // namespace convoy
