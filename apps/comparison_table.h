// The table Strategy | Devices | Time | Speed-up | Efficiency | Test accuracy | same result as serial? of one model.
#pragma once

#include <string>
#include <vector>

#include "apps/comparison.h"

namespace convoy {

struct ComparisonRow {
  std::string strategy, devices;
  std::string failure = {};  // "failed (exit code 7): …"; then there is nothing in the rest
  std::string time = "-", speedup = "-", efficiency = "-",
              accuracy = "-";                   // "12.3 s (12.1 to 12.9)", "1.85x", "92 %", …
  std::string same = "-", same_in_brief = "-";  // "yes, bit for bit"
};
// The headings of its columns; the accuracy's says what it is measured on.
std::vector<std::string> comparison_header(const Comparison& comparison);
// "Test accuracy", "Validation accuracy".
std::string accuracy_heading(const Comparison& comparison);

// A row for each configuration; none without a complete round.
std::vector<ComparisonRow> comparison_rows(const Comparison& comparison, const ModelSummary& summary);

// A sentence each: why the numbers are not to be relied on, to be read before the table; how it is to be read.
std::vector<std::string> table_warnings(const Comparison& comparison);
std::vector<std::string> table_notes(const Comparison& comparison);

// "mnist-cnn on mnist, 60,000 training and 10,000 test images, 3 rounds".
std::string heading(const Comparison& comparison, const ModelSummary& summary);

// All models' tables as plain text of at most 100 columns.
std::string terminal_tables(const Comparison& comparison);

}  // namespace convoy
