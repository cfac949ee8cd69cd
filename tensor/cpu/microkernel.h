// The innermost loop of every product and convolution: a tile of C in registers, one outer product per step of k.
//
// A tile has R <= kTileRows rows and V <= 2 vectors of columns. Each step loads V vectors of B and, row by row,
// broadcasts one element of A: R*V fused multiply-adds for R + V loads. The tile sizes keep R*V accumulators, V
// vectors of B and one broadcast within the register file: 14*2 + 3 of 32 (AVX-512), 6*2 + 3 of 16 (AVX2, SSE).
#pragma once

#include <cstdint>

#include "tensor/cpu/lanes.h"
#include "tensor/kernels.h"

namespace convoy::CONVOY_ISA {

#if defined(__AVX512F__)
inline constexpr int kTileRows = 14;
#else
inline constexpr int kTileRows = 6;
#endif
inline constexpr int kTileColumns = 2 * kVectorFloats;

// Longest stretch of k in one packed block of A, and the distance between the packed rows: not a multiple of 4 KiB,
// so that the rows of a tile do not compete for the same cache sets.
inline constexpr int64_t kMaxDepth = 320;
inline constexpr int64_t kRowStride = kMaxDepth + 16;

// How a block of A lies in memory: element (i, k) at a[i * row_stride + k], or at a[k * stride + i]. The first is known
// to the compiler: kRowStride, or the distance of the windows that are the rows.
enum class Layout { rows, columns };

// What a tile is computed from. A's columns may come in groups of several runs of `depth`, as the lines of images do, and B's steps
// with them.
struct TileInput {
  int64_t depth;
  const float* a;
  int64_t a_stride;                                          // Layout::columns
  const float* b;                                            // packed: step k of a run at b + k * kTileColumns
  int64_t runs = 1, run_stride = 0, b_run_stride = 0;        // floats from one run to the next, of A and of B
  int64_t groups = 1, group_stride = 0, b_group_stride = 0;  // … from one group to the next
  int64_t tiles = 1, tile_stride = 0;  // one after the other with the same B: floats between them in A
};

// Where a tile goes: row i at c + row_offset[i]. `bias` points at the tile's first column.
struct TileOutput {
  float* c;
  int64_t tile_stride = 0;  // floats from one tile to the next
  const int64_t* row_offset;
  int columns;        // valid columns, at most V * kVectorFloats
  bool accumulate;    // += instead of =
  const float* bias;  // null: none
  bool relu;
};

inline Vector load(const float* p) { return *reinterpret_cast<const Vector*>(p); }
inline void store(float* p, Vector v) { *reinterpret_cast<Vector*>(p) = v; }
inline Vector broadcast(float x) { return x - Vector{}; }

template <int R, int V, Layout layout, int64_t row_stride>
[[gnu::always_inline]] inline void multiply_one_tile(const TileInput& in, const float* tile_a, const TileOutput& out,
                                                     float* tile_c) {
  // Steps whose data are asked for before they are needed: the processor does not look beyond a page by itself. B of windows that
  // lie close together, as those of few channels do, is in the first-level cache anyway.
  constexpr int64_t kAhead = layout == Layout::columns ? 8 : row_stride >= 64 ? 16 : 0;
  Vector sum[R][V] = {};
  for (int64_t group = 0; group < in.groups; ++group) {
    for (int64_t run = 0; run < in.runs; ++run) {
      const float* a = tile_a + group * in.group_stride + run * in.run_stride;
      const float* b = in.b + group * in.b_group_stride + run * in.b_run_stride;
      for (int64_t k = 0; k < in.depth; ++k) {
        if constexpr (kAhead > 0) {
          for (int j = 0; j < V * kVectorFloats; j += 16) __builtin_prefetch(b + kAhead * kTileColumns + j);
          if constexpr (layout == Layout::columns) __builtin_prefetch(a + kAhead * in.a_stride);
        }
        Vector column[V];
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) column[v] = load(b + v * kVectorFloats);
#pragma GCC unroll 16
        for (int i = 0; i < R; ++i) {
          const Vector row = broadcast(layout == Layout::rows ? a[i * row_stride] : a[i]);
#pragma GCC unroll 2
          for (int v = 0; v < V; ++v) sum[i][v] += row * column[v];
        }
        a += layout == Layout::rows ? 1 : in.a_stride;
        b += kTileColumns;
      }
    }
  }

  if (out.columns == V * kVectorFloats) {
    const auto for_each_vector = [&](auto&& body) {
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) {
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) body(sum[i][v], tile_c + out.row_offset[i] + v * kVectorFloats, v);
      }
    };
    if (out.accumulate) for_each_vector([](Vector& value, const float* c, int) { value += load(c); });
    if (out.bias != nullptr)
      for_each_vector([&](Vector& value, const float*, int v) { value += load(out.bias + v * kVectorFloats); });
    if (out.relu) for_each_vector([](Vector& value, const float*, int) { value = relu(value); });
    for_each_vector([](const Vector& value, float* c, int) { store(c, value); });
    return;
  }
  float tile[R][V * kVectorFloats];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) store(tile[i] + v * kVectorFloats, sum[i][v]);
  }
  for (int i = 0; i < R; ++i) {
    float* c = tile_c + out.row_offset[i];
    for (int j = 0; j < out.columns; ++j) {
      float value = tile[i][j];
      if (out.accumulate) value += c[j];
      if (out.bias != nullptr) value += out.bias[j];
      if (out.relu) value = relu(value);
      c[j] = value;
    }
  }
}

// For each of `tiles`: C tile [R, columns] = or += A [R, groups * runs * depth] * B [groups * runs * depth, V vectors], then bias and
// ReLU. Where depths are short, what it takes to call this is worth sharing among tiles.
template <int R, int V, Layout layout, int64_t row_stride>
[[gnu::noinline]] void multiply_tile(const TileInput& in, const TileOutput& out) {
  // Of windows that lie close together the results are nearly all that memory has to move.
  constexpr bool kAskForResults = layout == Layout::rows && row_stride < 64;
  const float* a = in.a;
  float* c = out.c;
  for (int64_t t = 0; t < in.tiles; ++t, a += in.tile_stride, c += out.tile_stride) {
    if constexpr (kAskForResults)
      for (int i = 0; i < R; ++i)
        for (int j = 0; j < V * kVectorFloats; j += 16)
          __builtin_prefetch(c + 2 * out.tile_stride + out.row_offset[i] + j, 1);
    multiply_one_tile<R, V, layout, row_stride>(in, a, out, c);
  }
}

}  // namespace convoy::CONVOY_ISA
