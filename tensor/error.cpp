#include "tensor/error.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace convoy {
namespace {

// Levenshtein distance with one row of memory.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string printable(std::string_view text) {
  std::string line(text);
  std::ranges::replace_if(
      line, [](unsigned char byte) { return byte < ' ' || byte == 0x7F; }, '?');
  return line;
}

std::string nearest_name(std::string_view given, std::span<const std::string> known) {
  std::string best;
  size_t best_distance = std::max<size_t>(2, given.size() / 2) + 1;
  for (const std::string& name : known) {
    const size_t distance = edit_distance(given, name);
    if (distance < best_distance) {
      best_distance = distance;
      best = name;
    }
  }
  return best;
}

Error unknown_name(std::string_view what, std::string_view given, std::span<const std::string> known) {
  const std::string nearest = nearest_name(given, known);
  const std::string hint = nearest.empty() ? "." : fmt::format(", did you mean '{}'?", nearest);
  return Error(ErrorKind::usage, fmt::format("unknown {} '{}'{} Known: {}", what, given, hint, fmt::join(known, ", ")));
}

}  // namespace convoy
