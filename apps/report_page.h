// The page of `convoy report`: trainings beside each other, in one HTML file that needs nothing beside it.
#pragma once

#include <string>
#include <vector>

#include "apps/plots.h"
#include "apps/run_record.h"

namespace convoy {

// What runs are called so that no two are called the same: their folders' names, or else their whole paths.
std::vector<std::string> names_of(const std::vector<RunRecord>& runs);

inline constexpr const char* kConfusionFile = "confusion.png";  // in a run's folder, where `convoy eval` has drawn it

// `no_pictures`: why there are none, when there are none.
std::string training_report_page(const std::vector<RunRecord>& runs, const std::vector<Picture>& pictures,
                                 const std::string& no_pictures);

}  // namespace convoy
