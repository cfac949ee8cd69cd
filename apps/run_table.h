// The list of `convoy runs`: what each training in a folder came to, in a line or as an object of JSON.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "apps/run_record.h"

namespace convoy {

struct ListedRun {
  std::string name;
  std::filesystem::path folder;
  std::optional<RunRecord> record;  // none when its files make no sense
  std::string damage;               // then, which and why
  bool best = false;                // the most accurate one of its data set, among those evaluated on the same images
};

// The runs that lie directly in `folder`, the earliest first.
std::vector<ListedRun> list_runs(const std::filesystem::path& folder);

// A line for each; with `columns` as many of its cells, the most telling ones, as fit. Without: all of them.
std::string run_table(const std::vector<ListedRun>& runs, std::optional<size_t> columns);
std::string run_json(const std::vector<ListedRun>& runs);

}  // namespace convoy
