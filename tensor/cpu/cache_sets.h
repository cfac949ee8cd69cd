// Which addresses compete for a place in the first-level cache.
#pragma once

#include "tensor/cpu/integers.h"

namespace convoy::CONVOY_ISA {

// Whether rows that begin `stride` floats apart can lie there side by side: not where many of them begin in one set, as rows of a
// power of two do.
inline bool rows_spread_over_sets(int64_t rows, int64_t stride) {
  constexpr int64_t kSets = 64, kMost = 4, kLine = 16;  // floats
  int64_t lines_of[kSets] = {}, before = -1;
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t line = i * stride / kLine;
    if (line != before && ++lines_of[line % kSets] > kMost) return false;
    before = line;
  }
  return true;
}

}  // namespace convoy::CONVOY_ISA
