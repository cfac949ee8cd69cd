// Products whose B [k,n] serves a few tiles of rows only: it is read where it lies, and memory brings the next panel meanwhile.
//
//   for each task (a range of rows, a range of columns), in parallel
//     for each stretch of k                  the A block is packed: at most kMaxRows x kMaxDepth, in L2
//       for each panel of columns            its rows of B, wherever they are, come from L1 and L2 then
//         for each tile of rows              the first ones ask for the next panel, a line of each of its steps
//
// run_product() would wait for the memory while it copies B, and multiply only then.
#pragma once

#include <span>

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

// The lines of a tile of `rows` rows in arrays of one shape, from the tile's first element in arrays[0]: kInStep for each of `steps`,
// some more than once or, where steps are few, not all.
template <int64_t kInStep>
void list_lines(std::span<const float* const> arrays, int64_t row_length, int64_t rows, int64_t steps, int64_t* lines) {
  constexpr int64_t kMostArrays = 3, kLine = 16;  // floats
  int64_t all[kTileRows * kMostArrays * ceil_divide(kTileColumns, kLine)];
  int64_t count = 0;
  for (int64_t i = 0; i < rows; ++i)
    for (size_t array = 0; array < arrays.size(); ++array)
      for (int64_t j = 0; j < kTileColumns; j += kLine)
        all[count++] = static_cast<int64_t>(reinterpret_cast<uintptr_t>(arrays.data()[array]) -
                                            reinterpret_cast<uintptr_t>(arrays.data()[0])) +
                       (i * row_length + j) * static_cast<int64_t>(sizeof(float));
  for (int64_t slot = 0; slot < kInStep * steps; ++slot) lines[slot] = all[slot * count / (kInStep * steps)];
}

// What a step asks for: kInStep of these lines of the next tile, and a line of the next panel.
template <int64_t kInStep>
struct LinesAhead {
  static constexpr bool kAlways = true;
  const char* base;
  const int64_t* offset;  // bytes
  LinesOfRun panel;
  void ask() {
    for (int64_t i = 0; i < kInStep; ++i) __builtin_prefetch(base + offset[i], 1);
    offset += kInStep;
    panel.ask();
  }
};

// A tile of C from the steps of k that begin with `step`, and where the next one begins.
struct PanelTile {
  int64_t step, row, rows, column, columns;
  int64_t next_row, next_column;
};

// Runs a product whose k is not split. Product provides what run_product() needs of A, moreover
//   const float* b;                                                            [k,n]
//   void take_tile(const TileInput&, const PanelTile&, LinesOfRun ahead)     multiplies a whole panel, however many columns count
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
                            asks ? LinesOfRun{next + line * kLine, n} : LinesOfRun{in.b, 0});
        }
      }
      step += depth;
    } while (step < k);
  });
}

}  // namespace convoy::CONVOY_ISA
