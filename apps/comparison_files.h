// The text files of a comparison: report.md with the tables, results.csv with a row for each run.
#pragma once

#include <string>

#include "apps/comparison.h"

namespace convoy {

std::string report_markdown(const Comparison& comparison);
// RFC 4180; units stand in the column names. Runs of incomplete rounds are there, too.
std::string results_csv(const Comparison& comparison);

}  // namespace convoy
