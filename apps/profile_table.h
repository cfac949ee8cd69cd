// A profile as text: where the time of a step goes, by layer and kernel, and how near each comes to what limits it.
#pragma once

#include <string>
#include <vector>

#include "apps/profile.h"

namespace convoy {

// All calls of a kernel for a layer in a pass, by the thread that trains.
struct ProfileRow {
  std::string layer;
  Work::Pass pass = Work::Pass::forward;
  std::string kernel;
  int64_t calls = 0;
  double seconds = 0;
  KernelCost cost;   // of all calls
  double floor = 0;  // the least seconds that they can take
};

// Passes in the order in which a step takes them, in each the rows in the order of their first call.
std::vector<ProfileRow> rows_of(const ProfileRecord& record);

// Lines of at most 120 columns where names of layers have at most 30 letters. Rows that take less than `least_share` of a step
// are added up in one for their pass. `record` has a step.
std::string table_of(const ProfileRecord& record, double least_share = 0);

}  // namespace convoy
