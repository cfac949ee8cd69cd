// Looks a name up in one of the explicit tables: any range of rows that have a `name`.
//
//   const Schedule& schedule = find_row("schedule", "cosine", kSchedules);
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tensor/error.h"

namespace convoy {

// The row of that name; throws unknown_name, which lists the names of the others and suggests the nearest.
template <class Table>
const auto& find_row(std::string_view what, std::string_view name, const Table& table) {
  std::vector<std::string> known;
  for (const auto& row : table) {
    if (name == row.name) return row;
    known.emplace_back(row.name);
  }
  throw unknown_name(what, name, known);
}

}  // namespace convoy
