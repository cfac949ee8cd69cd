// Copies into packed blocks: contiguous runs, panels of B, and panels of a transposed B.
#pragma once

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "tensor/cpu/integers.h"
#include "tensor/cpu/microkernel.h"

namespace convoy::CONVOY_ISA {

// to[0, count) = from[0, count). Runs of a few floats are common (the taps of a stem), so the tail must be cheap.
inline void copy_floats(float* __restrict to, const float* __restrict from, int64_t count) {
  for (; count >= kVectorFloats; count -= kVectorFloats, to += kVectorFloats, from += kVectorFloats)
    store(to, load(from));
#if defined(__AVX512F__)
  const __mmask16 mask = static_cast<__mmask16>((1u << count) - 1);
  _mm512_mask_storeu_ps(to, mask, _mm512_maskz_loadu_ps(mask, from));
#else
  for (int64_t i = 0; i < count; ++i) to[i] = from[i];
#endif
}

inline void zero_floats(float* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = 0;
}

// Rows of a block are too short for the processor to see where the next one begins, so it is told some rows ahead.
inline constexpr int64_t kRowsAhead = 4;
inline void prefetch(const float* from, int64_t count) {
  constexpr int64_t kLine = 16;
  for (int64_t i = 0; i < count; i += kLine) __builtin_prefetch(from + i);
}

// Copies `columns` columns of `depth` rows, `stride` floats apart, into panels of kTileColumns columns; the last is
// filled up with zeros.
inline void pack_panels(const float* from, int64_t stride, int64_t depth, int64_t columns, float* panels,
                        int64_t panel_stride) {
  // Rows outside, so that memory is read in long runs.
  for (int64_t step = 0; step < depth; ++step, from += stride) {
    float* to = panels + step * kTileColumns;
    for (int64_t j = 0; j < columns; j += kTileColumns, to += panel_stride) {
      const int64_t width = smaller(kTileColumns, columns - j);
      prefetch(from + kRowsAhead * stride + j, kTileColumns);
      copy_floats(to, from + j, width);
      zero_floats(to + width, kTileColumns - width);
    }
  }
}

// The same from a transposed source: column j of the panels is row j of `from`, its steps contiguous. Goes in
// squares of 4 x 4.
inline void pack_panels_transposed(const float* from, int64_t stride, int64_t depth, int64_t columns, float* panels,
                                   int64_t panel_stride) {
  typedef float Four __attribute__((vector_size(16), aligned(4), may_alias));
  typedef int Pick __attribute__((vector_size(16)));
  for (int64_t column = 0; column < round_up(columns, kTileColumns); column += 4) {
    float* to = panels + column / kTileColumns * panel_stride + column % kTileColumns;
    const float* row = from + column * stride;
    int64_t step = 0;
    if (column + 4 <= columns) {
      for (; step + 4 <= depth; step += 4) {
        const auto at = [&](int64_t i) { return *reinterpret_cast<const Four*>(row + i * stride + step); };
        const Four a = at(0), b = at(1), c = at(2), d = at(3);
        const Four ab_low = __builtin_shuffle(a, b, Pick{0, 4, 1, 5}),
                   ab_high = __builtin_shuffle(a, b, Pick{2, 6, 3, 7});
        const Four cd_low = __builtin_shuffle(c, d, Pick{0, 4, 1, 5}),
                   cd_high = __builtin_shuffle(c, d, Pick{2, 6, 3, 7});
        const auto put = [&](int64_t i, Four v) { *reinterpret_cast<Four*>(to + (step + i) * kTileColumns) = v; };
        put(0, __builtin_shuffle(ab_low, cd_low, Pick{0, 1, 4, 5}));
        put(1, __builtin_shuffle(ab_low, cd_low, Pick{2, 3, 6, 7}));
        put(2, __builtin_shuffle(ab_high, cd_high, Pick{0, 1, 4, 5}));
        put(3, __builtin_shuffle(ab_high, cd_high, Pick{2, 3, 6, 7}));
      }
    }
    for (; step < depth; ++step) {
      for (int64_t i = 0; i < 4; ++i)
        to[step * kTileColumns + i] = column + i < columns ? row[i * stride + step] : 0.0f;
    }
  }
}

// A whole B packed once, for all blocks of A: panels of kTileColumns columns, each [k][kTileColumns].
struct PackedB {
  const float* panels;
  int64_t panel_stride;

  const float* at(int64_t step, int64_t column) const {
    return panels + column / kTileColumns * panel_stride + step * kTileColumns;
  }
};

}  // namespace convoy::CONVOY_ISA
