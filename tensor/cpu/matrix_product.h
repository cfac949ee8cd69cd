// Products of two matrices in memory, as run_product() and run_panels() take them.
#pragma once

#include "tensor/cpu/panel_product.h"

namespace convoy::CONVOY_ISA {

struct MatrixOperands {
  int64_t m, n, k;
  const float *a, *b;
  bool transpose_b = false;
  PackedB packed{};  // of b; no panels: each task packs what it needs
  float* c = nullptr;
  int64_t row_length = 0;    // floats from one row of c to the next
  int64_t split_stride = 0;  // floats between the results of two splits of k
  Epilogue epilogue{};
  bool accumulate = false;

  BlockB block_b(int64_t step, int64_t depth, int64_t column, int64_t columns, float* scratch) const {
    if (packed.panels != nullptr) return {packed.at(step, column), packed.panel_stride};
    if (transpose_b) {
      pack_panels_transposed(b + column * k + step, k, depth, columns, scratch, gapped_panel_stride(depth));
    } else {
      pack_panels(b + step * n + column, n, depth, columns, scratch, gapped_panel_stride(depth));
    }
    return {scratch, gapped_panel_stride(depth)};
  }

  void row_offsets(int64_t row, int64_t rows, int64_t* out) const {
    for (int64_t i = 0; i < rows; ++i) out[i] = (row + i) * row_length;
  }

  float* destination(int64_t split) const { return c + split * split_stride; }
};

template <Layout layout>  // of a: `columns` is its transpose
struct MatrixProduct : MatrixOperands {
  static constexpr Layout kLayout = layout;

  BlockA block_a(int64_t row, int64_t rows, int64_t step, int64_t depth, float* scratch) const {
    if (layout == Layout::far_rows) return {a + row * k + step, k};
    if (layout == Layout::columns) {
      for (int64_t s = 0; s < depth; ++s) copy_floats(scratch + s * rows, a + (step + s) * m + row, rows);
      return {scratch, rows};
    }
    for (int64_t i = 0; i < rows; ++i) {
      prefetch(a + (row + i + kRowsAhead) * k + step, depth);
      copy_floats(scratch + i * kRowStride, a + (row + i) * k + step, depth);
    }
    return {scratch, 0};
  }
};

// In a step. Narrow vectors have no slot left for what the next tile writes.
inline constexpr int64_t kLinesOfResult = kSpreads ? 1 : 0;

// multiply_tile() of a panel of B that is read where it lies.
template <int R, Layout layout>
[[gnu::noinline]] void multiply_panel_tile(const TileInput& in, const TileOutput& out,
                                           LinesAhead<kLinesOfResult> ahead) {
  if (kLinesOfResult == 0 && out.gate != nullptr) ask_for_lines<R, 2>(out, out.gate);
  multiply_one_tile<R, 2, layout, kRowStride, true>(in, in.a, out, out.c, ahead);
}

template <Layout layout>
struct PanelProduct : MatrixProduct<layout> {
  int64_t lines[kLinesOfResult * kMaxDepth + 1];  // of what a tile writes and is gated by

  PanelProduct(const MatrixOperands& operands, const Blocking& cut) : MatrixProduct<layout>{operands} {
    const float* const arrays[] = {this->c, this->epilogue.gate};
    list_lines<kLinesOfResult>({arrays, arrays[1] != nullptr ? size_t{2} : size_t{1}}, this->row_length,
                               even_part(smaller(cut.rows, this->m), kTileRows), cut.depth, lines);
  }

  void take_tile(const TileInput& in, const PanelTile& tile, LinesOfRun panel) const {
    int64_t offsets[kTileRows];
    this->row_offsets(tile.row, tile.rows, offsets);
    const bool last = tile.step + in.depth == this->k;
    const Epilogue& epilogue = this->epilogue;
    const TileOutput out{.c = this->c + tile.column,
                         .row_offset = offsets,
                         .columns = static_cast<int>(tile.columns),
                         .accumulate = tile.step > 0 || this->accumulate,
                         .bias = last && epilogue.bias != nullptr ? epilogue.bias + tile.column : nullptr,
                         .relu = last && epilogue.relu,
                         .gate = epilogue.gate != nullptr ? epilogue.gate + tile.column : nullptr};
    const float* const next = this->c + tile.next_row * this->row_length + tile.next_column;
    const LinesAhead<kLinesOfResult> ahead{reinterpret_cast<const char*>(next), lines, panel};
    with_rows(tile.rows, [&]<int R>() { multiply_panel_tile<R, layout>(in, out, ahead); });
  }
};

}  // namespace convoy::CONVOY_ISA
