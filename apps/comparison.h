// A comparison as its report sees it: what was planned, what the runs came to, and where and when that was.
#pragma once

#include <string>
#include <vector>

#include "apps/comparison_plan.h"
#include "apps/comparison_results.h"
#include "apps/comparison_statistics.h"

namespace convoy {

// One line of the report's list of settings or of facts about the machine.
struct Fact {
  std::string name, value;
};

struct Comparison {
  ComparisonPlan plan;
  std::vector<RunResult> results;  // in the order of plan.runs(), fewer when interrupted
  std::vector<ModelSummary> summaries;
  int cores = 1;              // that this process may use
  double load = 0;            // of other programs, before the first run (load_average())
  std::vector<Fact> machine;  // CPU, cores, kernels, date, version
  std::string command;        // that prints the same comparison again
  std::string stopped;        // why it ended before its plan did; empty when it did not

  size_t failed() const;
  bool oversubscribed() const;              // whether any configuration is
  bool busy() const { return load > 0.5; }  // too much so to measure speed
};

// A run of the model that went well, or null.
const RunResult* good_run(const Comparison& comparison, size_t model);

// The settings that all trainings of a model share, as config.json names them, and how many images there were.
std::vector<Fact> shared_settings(const Comparison& comparison, size_t model);

// Of this machine and build, now; `load` as in Comparison.
std::vector<Fact> machine_facts(double load);

}  // namespace convoy
