// The innermost loop of every product and convolution: a tile of C in registers, one outer product per step of k.
//
// A tile has R <= kTileRows rows and V <= 2 vectors of columns. Each step loads V vectors of B and, row by row,
// broadcasts one element of A: R*V fused multiply-adds for R + V loads. The tile sizes keep R*V accumulators, V
// vectors of B and one broadcast within the register file: 14*2 + 3 of 32 (AVX-512), 6*2 + 3 of 16 (AVX2, SSE).
#pragma once

#include <cstdint>

#include "tensor/cpu/integers.h"
#include "tensor/cpu/lanes.h"
#include "tensor/cpu/vectors.h"
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

// How a block of A lies in memory. The compiler knows kStride:
//   rows      element (i, k) at a[i * kStride + k]: kRowStride, or the distance of the windows that are the rows
//   far_rows  element (i, k) at a[i * a_stride + k]: rows of a matrix where they lie
//   columns   element (i, k) at a[k * a_stride + i]; of windows with kStride taps in a line, that one at
//             a[k * a_stride + i / kStride * a_line + i % kStride]
enum class Layout { rows, far_rows, columns };

// What a tile is computed from. A's columns may come in groups of several runs of `depth`, as the lines of images do, and B's steps
// with them.
struct TileInput {
  int64_t depth;
  const float* a;
  int64_t a_stride, a_line = 0;                              // Layout::columns; a_stride of far_rows, too
  const float* b;                                            // step k of a run at b + k * kTileColumns, packed;
  int64_t b_step = 0;                                        // or, read where it lies, at b + k * b_step
  int64_t runs = 1, run_stride = 0, b_run_stride = 0;        // floats from one run to the next, of A and of B
  int64_t groups = 1, group_stride = 0, b_group_stride = 0;  // … from one group to the next
  int64_t tiles = 1, tile_stride = 0;  // one after the other with the same B: floats between them in A
  // What tiles after this one will read: asked for meanwhile, `ahead_floats` of it during each of `tiles`, spread over its steps; where
  // that is more than a line for each, some lines are left out.
  const float* ahead = nullptr;
  int64_t ahead_floats = 0;
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
  const float* gate = nullptr;  // lies as c does: where it is not positive the product counts as 0; null: everywhere
};

// Wide vectors are done with a step before memory has brought the next: everything is asked for ahead, a line or none in each step.
// Narrow ones have few slots left for that in a step, and the time to do without most of it.
inline constexpr bool kSpreads = kVectorFloats == 16;

// What a step asks for of what tiles after this one will read: the next line of a run, of no use where `step` is 0, but cheaper
// than a branch.
struct LinesOfRun {
  static constexpr bool kAlways = false;
  const float* at;
  int64_t step;  // floats
  void ask() {
    __builtin_prefetch(at);
    at += step;
  }
};

// kFarB: B has a b_step.
template <int R, int V, Layout layout, int64_t kStride, bool kFarB = false, class Ahead>
[[gnu::always_inline]] inline void multiply_one_tile(const TileInput& in, const float* tile_a, const TileOutput& out,
                                                     float* tile_c, Ahead ahead) {
  // Steps whose data are asked for before they are needed: the processor does not look beyond a page by itself. B of windows that
  // lie close together, as those of few channels do, is in the first-level cache anyway.
  constexpr int64_t kAhead = kFarB || layout == Layout::columns ? 8 : kStride >= 64 ? 16 : 0;
  // Rows that lie far apart are reached from every third of them, so that few addresses have to be kept.
  constexpr int kThirds = layout == Layout::far_rows ? (R + 2) / 3 : 1;
  constexpr bool kGated = kStride == kRowStride;  // what windows give never is
  Vector sum[R][V] = {};
  for (int64_t group = 0; group < in.groups; ++group) {
    for (int64_t run = 0; run < in.runs; ++run) {
      const float* a = tile_a + group * in.group_stride + run * in.run_stride;
      const float* b = in.b + group * in.b_group_stride + run * in.b_run_stride;
      const int64_t b_step = kFarB ? in.b_step : kTileColumns;
      const float* b_ahead = b + kAhead * b_step;
      const float* third[kThirds];
      for (int i = 0; i < kThirds; ++i) third[i] = a + 3 * i * in.a_stride;
      for (int64_t k = 0; k < in.depth; ++k) {
        if constexpr (kAhead > 0) {
          for (int j = 0; j < V * kVectorFloats; j += 16) __builtin_prefetch(b_ahead + j);
          if constexpr (layout == Layout::columns) __builtin_prefetch(a + kAhead * in.a_stride);
          if constexpr (kSpreads && layout == Layout::columns) __builtin_prefetch(a + kAhead * in.a_stride + R - 1);
          if constexpr (kSpreads || Ahead::kAlways) ahead.ask();
        }
        Vector column[V];
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) column[v] = load(b + v * kVectorFloats);
#pragma GCC unroll 16
        for (int i = 0; i < R; ++i) {
          const Vector row = broadcast(layout == Layout::rows       ? a[i * kStride]
                                       : layout == Layout::far_rows ? third[i / 3 % kThirds][i % 3 * in.a_stride]
                                                                    : a[i / kStride * in.a_line + i % kStride]);
#pragma GCC unroll 2
          for (int v = 0; v < V; ++v) sum[i][v] += row * column[v];
        }
        a += layout == Layout::columns ? in.a_stride : 1;
        if constexpr (layout == Layout::far_rows)
          for (int i = 0; i < kThirds; ++i) ++third[i];
        b += b_step;
        b_ahead += b_step;
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
    if (kGated && out.gate != nullptr) {
      const float* const gate = out.gate;
      for_each_vector([=](Vector& value, const float* c, int) { value = gated(value, load(gate + (c - tile_c))); });
    }
    if (out.accumulate) for_each_vector([](Vector& value, const float* c, int) { value += load(c); });
    if (out.bias != nullptr)
      for_each_vector([&](Vector& value, const float*, int v) { value += load(out.bias + v * kVectorFloats); });
    if (out.relu) for_each_vector([](Vector& value, const float*, int) { value = relu(value); });
    for_each_vector([](const Vector& value, float* c, int) { store(c, value); });
    return;
  }
  // Fewer columns, as of the last panel or of a layer of few filters.
  float tile[R][V * kVectorFloats];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) store(tile[i] + v * kVectorFloats, sum[i][v]);
  }
  for (int i = 0; i < R; ++i) {
    for (int j = 0; j < out.columns; j += kVectorFloats) {
      const int count = out.columns - j < kVectorFloats ? out.columns - j : kVectorFloats;
      float* const c = tile_c + out.row_offset[i] + j;
      Vector value = load(tile[i] + j);
      if (kGated && out.gate != nullptr) value = gated(value, load_first(out.gate + out.row_offset[i] + j, count));
      if (out.accumulate) value += load_first(c, count);
      if (out.bias != nullptr) value += load_first(out.bias + j, count);
      if (out.relu) value = relu(value);
      store_first(c, value, count);
    }
  }
}

// Asks for the lines of a tile of C, or of what lies as C does.
template <int R, int V>
[[gnu::always_inline]] inline void ask_for_lines(const TileOutput& out, const float* tile_c) {
  for (int i = 0; i < R; ++i)
    for (int j = 0; j < V * kVectorFloats; j += 16) __builtin_prefetch(tile_c + out.row_offset[i] + j, 1);
}

// For each of `tiles`: C tile [R, columns] = or += A [R, groups * runs * depth] * B [groups * runs * depth, V vectors], then bias and
// ReLU. Where depths are short, what it takes to call this is worth sharing among tiles.
template <int R, int V, Layout layout, int64_t kStride>
[[gnu::noinline]] void multiply_tile(const TileInput& in, const TileOutput& out) {
  // Of windows that lie close together the results are nearly all that memory has to move, and a tile is soon done: theirs are asked
  // for two tiles ahead.
  constexpr bool kClose = layout == Layout::rows && kStride < 64;
  const float* a = in.a;
  float* c = out.c;
  const float* ahead = in.ahead != nullptr ? in.ahead : in.b;
  const int64_t steps = in.groups * in.runs * in.depth,
                ahead_step = in.ahead_floats > 0 ? ceil_divide(in.ahead_floats, larger(1, steps)) : 0;
  for (int64_t t = 0; t < in.tiles; ++t) {
    if constexpr (kClose || kSpreads) ask_for_lines<R, V>(out, c + (kClose ? 2 * out.tile_stride : 0));
    if constexpr (kClose || !kSpreads) prefetch(ahead, in.ahead_floats);
    multiply_one_tile<R, V, layout, kStride>(in, a, out, c, LinesOfRun{ahead, ahead_step});
    a += in.tile_stride;
    c += out.tile_stride;
    ahead += in.ahead_floats;
  }
}

}  // namespace convoy::CONVOY_ISA
