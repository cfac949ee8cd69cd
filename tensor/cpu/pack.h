// Copies into packed blocks: contiguous runs, panels of B, and panels of a transposed B.
#pragma once

#include <utility>

#include "tensor/cpu/integers.h"
#include "tensor/cpu/microkernel.h"

namespace convoy::CONVOY_ISA {

// to[0, count) = from[0, count). Runs of a few floats are common (the taps of a stem), so the tail must be cheap.
inline void copy_floats(float* __restrict to, const float* __restrict from, int64_t count) {
  for (; count >= kVectorFloats; count -= kVectorFloats, to += kVectorFloats, from += kVectorFloats)
    store(to, load(from));
  store_first(to, load_first(from, count), count);
}

inline void zero_floats(float* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = 0;
}

// Rows of a block are too short for the processor to see where the next one begins, so it is told some rows ahead.
inline constexpr int64_t kRowsAhead = 4;

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

// --- Transposed -------------------------------------------------------------------------------------------------

// Four floats each of the rows 0, 4, 8, …, `stride` floats apart, as many as fit.
inline Vector load_fours(const float* row, [[maybe_unused]] int64_t stride) {
#if defined(__AVX512F__)
  const auto four = [&](int64_t i) { return _mm_loadu_ps(row + 4 * i * stride); };
  const __m512 two = _mm512_insertf32x4(_mm512_castps128_ps512(four(0)), four(1), 1);
  return reinterpret_cast<Vector>(_mm512_insertf32x4(_mm512_insertf32x4(two, four(2), 2), four(3), 3));
#elif defined(__AVX2__)
  return reinterpret_cast<Vector>(
      _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(row)), _mm_loadu_ps(row + 4 * stride), 1));
#else
  return load(row);
#endif
}

// Within each four of the result the elements `pick` of the fours of a (0 … 3) and b (4 … 7).
template <int... pick, int... i>
inline Vector pick_in_fours(Vector a, Vector b, std::integer_sequence<int, i...>) {
  typedef int Picks __attribute__((vector_size(sizeof(Vector))));
  constexpr int picks[] = {pick...};
  return __builtin_shuffle(a, b, Picks{(picks[i % 4] % 4 + i / 4 * 4 + picks[i % 4] / 4 * kVectorFloats)...});
}

// to[step * kTileColumns + i] = row[i * stride + step] for kVectorFloats rows and 4 steps: a square in each lane of 128 bits.
inline void transpose_squares(const float* row, int64_t stride, float* to) {
  const auto lanes = std::make_integer_sequence<int, kVectorFloats>();
  const Vector a = load_fours(row, stride), b = load_fours(row + stride, stride),
               c = load_fours(row + 2 * stride, stride), d = load_fours(row + 3 * stride, stride);
  const Vector ab_low = pick_in_fours<0, 4, 1, 5>(a, b, lanes), ab_high = pick_in_fours<2, 6, 3, 7>(a, b, lanes);
  const Vector cd_low = pick_in_fours<0, 4, 1, 5>(c, d, lanes), cd_high = pick_in_fours<2, 6, 3, 7>(c, d, lanes);
  store(to, pick_in_fours<0, 1, 4, 5>(ab_low, cd_low, lanes));
  store(to + kTileColumns, pick_in_fours<2, 3, 6, 7>(ab_low, cd_low, lanes));
  store(to + 2 * kTileColumns, pick_in_fours<0, 1, 4, 5>(ab_high, cd_high, lanes));
  store(to + 3 * kTileColumns, pick_in_fours<2, 3, 6, 7>(ab_high, cd_high, lanes));
}

// pack_panels() from a transposed source: column j of the panels is row j of `from`, its steps contiguous.
inline void pack_panels_transposed(const float* from, int64_t stride, int64_t depth, int64_t columns, float* panels,
                                   int64_t panel_stride) {
  for (int64_t column = 0; column < round_up(columns, kTileColumns); column += kVectorFloats) {
    float* to = panels + column / kTileColumns * panel_stride + column % kTileColumns;
    const float* row = from + column * stride;
    const int64_t rows = smaller(kVectorFloats, larger(0, columns - column));
    int64_t step = 0;
    if (rows == kVectorFloats)
      for (; step + 4 <= depth; step += 4) transpose_squares(row + step, stride, to + step * kTileColumns);
    for (; step < depth; ++step) {
      float* const at = to + step * kTileColumns;
      for (int64_t i = 0; i < rows; ++i) at[i] = row[i * stride + step];
      zero_floats(at + rows, kVectorFloats - rows);
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
