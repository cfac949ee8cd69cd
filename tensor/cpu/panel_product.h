// Products whose B [k,n] serves a few tiles of rows only: it is read where it lies, and memory brings the next panel meanwhile.
//
//   for each task (a range of rows, a range of columns), in parallel
//     for each stretch of k                  the A block is packed: at most kMaxRows x kMaxDepth, in L2
//       for each panel of columns            its rows of B, wherever they are, stay in L1
//         for each tile of rows              the first ones ask for the next panel, a line of each of its steps
//
// run_product() would wait for the memory while it copies B, and multiply only then.
#pragma once

#include "tensor/cpu/blocked_product.h"

namespace convoy::CONVOY_ISA {

// Calls body.operator()<R>() for R = rows, 1 to kTileRows.
template <class Body, int... r>
void with_rows(int64_t rows, const Body& body, std::integer_sequence<int, r...>) {
  static constexpr void (*table[])(const Body&) = {[](const Body& b) { b.template operator()<r + 1>(); }...};
  table[rows - 1](body);
}
template <class Body>
void with_rows(int64_t rows, const Body& body) {
  with_rows(rows, body, std::make_integer_sequence<int, kTileRows>());
}

// A line of each step of the next panel; where there is no next one, `step` is 0.
struct LinesOfPanel : LinesOfRun {
  static constexpr bool kAlways = true;
};

// A tile of C from the steps of k that begin with `step`, and where the next one begins.
struct PanelTile {
  int64_t step, row, rows, column, columns;
  int64_t next_row, next_column;
};

// Runs a product whose k is not split. Product provides what run_product() needs of A, moreover
//   const float* b;                                                            [k,n]
//   void take_tile(const TileInput&, const PanelTile&, LinesOfPanel ahead)     multiplies a whole panel, however many columns count
template <class Product>
void run_panels(const Stream& stream, const Product& product, const Blocking& cut) {
  const int64_t m = product.m, n = product.n, k = product.k;
  if (m == 0 || n == 0) return;
  constexpr int64_t kLine = 16, kLinesOfStep = ceil_divide(kTileColumns, kLine);
  const int64_t row_parts = ceil_divide(m, cut.rows), column_parts = ceil_divide(n, cut.columns);
  parallel_for(stream, row_parts * column_parts, 1, [&](int64_t task, int64_t) {
    const int64_t row = task / column_parts * cut.rows, row_end = smaller(row + cut.rows, m);
    const int64_t column_begin = task % column_parts * cut.columns, column_end = smaller(column_begin + cut.columns, n);
    const int64_t tile_rows = even_part(row_end - row, kTileRows);
    float* const scratch_a = thread_scratch(Scratch::pack_a, kMaxRows * kRowStride);
    float* const scratch_b = thread_scratch(Scratch::pack_b, kPackedBFloats);

    int64_t step = 0;
    do {  // once even for k == 0: C must be written
      const int64_t depth = smaller(cut.depth, k - step);
      const BlockA a = product.block_a(row, row_end - row, step, depth, scratch_a);
      const int64_t row_step = Product::kLayout == Layout::rows ? kRowStride : 1;
      for (int64_t column = column_begin; column < column_end; column += kTileColumns) {
        const float* const b = product.b + step * n + column;
        TileInput in{.depth = depth, .a = a.data, .a_stride = a.stride, .b = b, .b_step = n};
        if (n - column < kTileColumns) {  // filled up with zeros
          pack_panels(b, n, depth, n - column, scratch_b, gapped_panel_stride(depth));
          in.b = scratch_b, in.b_step = kTileColumns;
        }
        const float* next = nullptr;
        if (column + kTileColumns < column_end) {
          next = b + kTileColumns;
        } else if (step + depth < k) {
          next = product.b + (step + depth) * n + column_begin;
        }
        for (int64_t i = row, line = 0; i < row_end; i += tile_rows, ++line) {
          const bool asks = next != nullptr && line < kLinesOfStep;
          in.a = a.data + (i - row) * row_step;
          const bool last = i + tile_rows >= row_end;
          product.take_tile(in,
                            {.step = step,
                             .row = i,
                             .rows = smaller(tile_rows, row_end - i),
                             .column = column,
                             .columns = smaller(kTileColumns, column_end - column),
                             .next_row = last ? row : i + tile_rows,
                             .next_column = last ? column + kTileColumns : column},
                            asks ? LinesOfPanel{next + line * kLine, n} : LinesOfPanel{in.b, 0});
        }
      }
      step += depth;
    } while (step < k);
  });
}

}  // namespace convoy::CONVOY_ISA
