// How long the rest of a comparison will take, judged by the runs that are done.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/comparison_plan.h"

namespace convoy {

class TimeLeft {
 public:
  explicit TimeLeft(const ComparisonPlan& plan);  // referred to

  void add(const PlannedRun& run, double seconds);  // from its start to its end
  // Seconds for plan.runs() from index `next` on. A configuration takes what it took on average; with a model that it
  // has not run with yet, what it took with the one before, in the ratio of what others took or, when none has run, of
  // multiply-adds. Nothing until every configuration has run once.
  std::optional<double> from(size_t next) const;

 private:
  struct Measured {
    double seconds = 0;
    int64_t runs = 0;
    double mean() const { return seconds / static_cast<double>(runs); }
  };
  double ratio(size_t model, size_t before) const;

  const ComparisonPlan& plan_;
  std::vector<PlannedRun> runs_;
  std::vector<std::vector<Measured>> measured_;  // [model][configuration]
};

// "about 40 s left", "about 12 min left", "about 2.5 h left".
std::string time_left_text(double seconds);

}  // namespace convoy
