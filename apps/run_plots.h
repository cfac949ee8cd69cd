// The pictures of trainings: loss, accuracy and learning rate over the epochs, of one run or of several over each
// other.
#pragma once

#include <filesystem>
#include <vector>

#include "apps/plots.h"
#include "apps/run_record.h"

namespace convoy {

inline constexpr const char* kPlotsFolder = "plots";  // in a run's folder

// Those for which there is something to draw, of loss, accuracy and lr. `names` are what the runs are called, one for
// each.
std::vector<Plot> run_plots(const std::vector<RunRecord>& runs, const std::vector<std::string>& names);

// Draws those of a run that has ended into its folder. Returns "", or in a line why there are none: nothing else is
// lost then.
std::string draw_run(const std::filesystem::path& run);

}  // namespace convoy
