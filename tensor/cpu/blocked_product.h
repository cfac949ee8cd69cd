// The loop nest behind convolutions and products whose B is copied: C [m,n] = A [m,k] * B [k,n], cut into blocks that fit the
// caches.
//
//   for each task (a split of k, a range of rows, a range of columns), in parallel
//     for each stretch of k                                  the A block is packed: kMaxRows x kMaxDepth, in L2; for at most
//                                                            kMaxColumns columns tile by tile, in L1, or read where it lies
//       for each block of columns                            the B block is packed, or was packed before: in L2
//         for each tile of rows, for each panel of columns   multiply_tile(): the A tile stays in L1
//
// This is the scheme of Goto and van de Geijn (2008) with B as the vector operand. What A and B are is the business
// of the `Product`: a matrix, or the im2col matrix of an image that exists only one packed block at a time.
//
// Cuts depend on m, n, k alone, and every element of C is summed in the same order wherever its tile lies, so the
// bits do not depend on the number of threads.
#pragma once

#include "tensor/cpu/pack.h"
#include "tensor/cpu/parallel.h"

namespace convoy::CONVOY_ISA {

// Of an A block: whole tiles, and as many as make the 128 rows of a power of two one block.
inline constexpr int64_t kMaxRows = round_up(128, kTileRows);
inline constexpr int64_t kMaxColumns = 256;    // of a B block of kMaxDepth steps: a multiple of every tile's columns
inline constexpr int64_t kLeastColumns = 128;  // of a task, where more tasks are wanted
inline constexpr int64_t kEnoughTasks = 32;    // more would only cost reuse

// A matrix's B, packed block by block or as a whole. Its panels do not lie a power of two apart, where they would compete for the same cache sets.
inline constexpr int64_t kPanelGap = 16;  // floats
inline constexpr int64_t gapped_panel_stride(int64_t depth) { return depth * kTileColumns + kPanelGap; }
inline constexpr int64_t kPackedBFloats = kMaxColumns / kTileColumns * gapped_panel_stride(kMaxDepth);

// Of a block with `depth` steps, kMaxColumns or more: rows of B are then longer runs.
inline int64_t columns_that_fit(int64_t depth) { return kPackedBFloats / gapped_panel_stride(depth) * kTileColumns; }

// Of a block with `columns` columns, 0 to kMaxColumns.
inline int64_t depth_that_fits(int64_t columns) {
  return (kPackedBFloats / larger(1, ceil_divide(columns, kTileColumns)) - kPanelGap) / kTileColumns;
}

// The size of parts, at most `most`, that `whole` is cut into as evenly as can be: 64 rows are 4 tiles of 13 and one of 12,
// not 4 of 14 and one of 8, which would keep the multipliers waiting.
inline int64_t even_part(int64_t whole, int64_t most) {
  return ceil_divide(whole, larger(1, ceil_divide(whole, most)));
}

// How a product is cut. Each split of k writes a C of its own, which the caller then adds up in order.
struct Blocking {
  int64_t rows, columns;  // of a task
  int64_t depth;          // of a packed block
  int64_t split_depth;    // of a split of k
  int64_t splits;
  int64_t tile_rows = kTileRows;  // at most
};

inline Blocking choose_blocking(int64_t m, int64_t n, int64_t k, bool may_split) {
  m = larger(m, 1), n = larger(n, 1), k = larger(k, 1);  // an empty product has blocks all the same
  Blocking cut{};
  cut.rows = round_up(ceil_divide(m, ceil_divide(m, kMaxRows)), kTileRows);
  cut.columns = n;
  cut.splits = 1;
  int64_t tasks = ceil_divide(m, cut.rows);
  if (tasks < kEnoughTasks && n > kLeastColumns) {
    const int64_t parts = smaller(n / kLeastColumns, ceil_divide(kEnoughTasks, tasks));
    cut.columns = round_up(ceil_divide(n, parts), kTileColumns);
    tasks *= parts;  // rounding may make one fewer: nothing to cut rows for, too
  }
  if (may_split && tasks < kEnoughTasks) {
    cut.splits = larger(1, smaller(ceil_divide(kEnoughTasks, tasks), k / kMaxDepth));
    tasks *= cut.splits;
  }
  if (tasks < kEnoughTasks / 2) {  // each part of the rows packs the same columns again
    const int64_t parts =
        smaller(ceil_divide(kEnoughTasks, tasks) * ceil_divide(m, cut.rows), larger(1, m / (4 * kTileRows)));
    cut.rows = round_up(ceil_divide(m, parts), kTileRows);
  }
  cut.split_depth = ceil_divide(k, cut.splits);
  cut.depth = ceil_divide(cut.split_depth, ceil_divide(cut.split_depth, kMaxDepth));
  return cut;
}

// A packed block as multiply_tile() reads it.
struct BlockA {
  const float* data;
  int64_t stride;  // Layout::columns: floats from step k to k + 1; Layout::far_rows: from one row to the next
};
struct BlockB {
  const float* data;
  int64_t panel_stride;  // floats from one panel of kTileColumns columns to the next
};

using TileFunction = void (*)(const TileInput& in, const TileOutput& out);

// Null for what nobody asks for: parts of a window's lines.
template <int R, int V, Layout layout, int64_t kStride>
constexpr TileFunction whole_lines_only() {
  if constexpr (layout != Layout::columns || kStride == kRowStride || R % kStride == 0)
    return multiply_tile<R, V, layout, kStride>;
  return nullptr;
}

// multiply_tile for 1 … kTileRows rows and 1 or 2 vectors; of windows whose lines have kStride taps, for whole lines.
template <Layout layout, int64_t kStride = kRowStride>
TileFunction tile_function(int64_t rows, int64_t vectors) {
#define TILE(R) \
  { whole_lines_only<R, 1, layout, kStride>(), whole_lines_only<R, 2, layout, kStride>() }
  static constexpr TileFunction table[][2] = {
    TILE(1),
    TILE(2),
    TILE(3),
    TILE(4),
    TILE(5),
    TILE(6),
#if defined(__AVX512F__)
    TILE(7),
    TILE(8),
    TILE(9),
    TILE(10),
    TILE(11),
    TILE(12),
    TILE(13),
    TILE(14)
#endif
  };
#undef TILE
  return table[rows - 1][vectors - 1];
}

// Runs a product. Product provides
//   static constexpr Layout kLayout;
//   int64_t m, n, k;
//   BlockA block_a(row, rows, step, depth, scratch)     A[row…, step…]; scratch holds kMaxRows * kRowStride floats
//   BlockB block_b(step, depth, column, columns, scratch)   B[step…, column…]; scratch holds kPackedBFloats floats
//   void row_offsets(row, rows, int64_t* out)           where each row of C starts, in floats
//   float* destination(split)                           where C is for a split of k
//   Epilogue epilogue; bool accumulate;                 only with one split
template <class Product>
void run_product(const Stream& stream, const Product& product, const Blocking& cut) {
  const int64_t m = product.m, n = product.n, k = product.k;
  if (m == 0 || n == 0) return;
  const int64_t row_parts = ceil_divide(m, cut.rows), column_parts = ceil_divide(n, cut.columns);
  parallel_for(stream, cut.splits * row_parts * column_parts, 1, [&](int64_t task, int64_t) {
    const int64_t split = task / (row_parts * column_parts);
    const int64_t row = task / column_parts % row_parts * cut.rows, rows = smaller(cut.rows, m - row);
    const int64_t column_begin = task % column_parts * cut.columns, column_end = smaller(column_begin + cut.columns, n);
    const int64_t k_begin = split * cut.split_depth, k_end = smaller(k_begin + cut.split_depth, k);
    float* const scratch_a = thread_scratch(Scratch::pack_a, kMaxRows * kRowStride);
    float* const scratch_b = thread_scratch(Scratch::pack_b, kPackedBFloats);
    const int64_t tile = even_part(rows, cut.tile_rows);
    // Rows that serve few columns are packed tile by tile, just before they are used.
    const bool by_tile = Product::kLayout == Layout::rows && column_end - column_begin <= kMaxColumns;
    int64_t offsets[kMaxRows];
    product.row_offsets(row, rows, offsets);

    int64_t step = k_begin;
    do {  // once even for k == 0: C must be written
      const int64_t depth = larger(0, smaller(cut.depth, k_end - step));
      const bool first = step == k_begin, last = step + depth >= k_end;
      BlockA a{};
      if (!by_tile) a = product.block_a(row, rows, step, depth, scratch_a);
      const int64_t row_step = Product::kLayout == Layout::rows       ? kRowStride
                               : Product::kLayout == Layout::far_rows ? a.stride
                                                                      : 1;
      const int64_t most = round_up(even_part(column_end - column_begin, columns_that_fit(depth)), kTileColumns);
      for (int64_t column = column_begin; column < column_end; column += most) {
        const int64_t columns = smaller(most, column_end - column);
        const BlockB b = product.block_b(step, depth, column, columns, scratch_b);
        for (int64_t i = 0; i < rows; i += tile) {
          const int64_t tile_rows = smaller(tile, rows - i);
          if (by_tile) a = product.block_a(row + i, tile_rows, step, depth, scratch_a);
          const float* tile_a = a.data + (by_tile ? 0 : i * row_step);
          for (int64_t j = 0; j < columns; j += kTileColumns) {
            const TileInput in{
                .depth = depth, .a = tile_a, .a_stride = a.stride, .b = b.data + j / kTileColumns * b.panel_stride};
            const int64_t tile_columns = smaller(kTileColumns, columns - j);
            const float *const bias = product.epilogue.bias, *const gate = product.epilogue.gate;
            tile_function<Product::kLayout>(tile_rows, ceil_divide(tile_columns, kVectorFloats))(
                in, {.c = product.destination(split) + column + j,
                     .row_offset = offsets + i,
                     .columns = static_cast<int>(tile_columns),
                     .accumulate = !first || product.accumulate,
                     .bias = last && bias != nullptr ? bias + column + j : nullptr,
                     .relu = last && product.epilogue.relu,
                     .gate = gate != nullptr ? gate + column + j : nullptr});
          }
        }
      }
      step += depth;
    } while (step < k_end);
  });
}

}  // namespace convoy::CONVOY_ISA
