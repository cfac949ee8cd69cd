// Matrix product on the CPU. Operands are packed, whatever their transposition: a block by block, b likewise or, where many
// tasks need the same of it, before.
#include "tensor/cpu/blocked_product.h"
#include "tensor/cpu/split_sums.h"
#include "tensor/cpu/table.h"

namespace convoy::CONVOY_ISA {
namespace {

template <bool transpose_a>
struct MatrixProduct {
  static constexpr Layout kLayout = transpose_a ? Layout::columns : Layout::rows;
  int64_t m, n, k;
  const float *a, *b;
  bool transpose_b;
  PackedB packed;  // of b; no panels: each task packs what it needs
  float* c;
  int64_t row_length;    // floats from one row of c to the next
  int64_t split_stride;  // floats between the results of two splits of k
  Epilogue epilogue;
  bool accumulate;

  BlockA block_a(int64_t row, int64_t rows, int64_t step, int64_t depth, float* scratch) const {
    if (transpose_a) {
      for (int64_t s = 0; s < depth; ++s) copy_floats(scratch + s * rows, a + (step + s) * m + row, rows);
      return {scratch, rows};
    }
    for (int64_t i = 0; i < rows; ++i) {
      prefetch(a + (row + i + kRowsAhead) * k + step, depth);
      copy_floats(scratch + i * kRowStride, a + (row + i) * k + step, depth);
    }
    return {scratch, 0};
  }

  BlockB block_b(int64_t step, int64_t depth, int64_t column, int64_t columns, float* scratch) const {
    if (packed.panels != nullptr) return {packed.at(step, column), packed.panel_stride};
    const int64_t panel_stride = depth * kTileColumns;
    if (transpose_b) {
      pack_panels_transposed(b + column * k + step, k, depth, columns, scratch, panel_stride);
    } else {
      pack_panels(b + step * n + column, n, depth, columns, scratch, panel_stride);
    }
    return {scratch, panel_stride};
  }

  void row_offsets(int64_t row, int64_t rows, int64_t* out) const {
    for (int64_t i = 0; i < rows; ++i) out[i] = (row + i) * row_length;
  }

  float* destination(int64_t split) const { return c + split * split_stride; }
};

// Columns [column, column + columns) of b, for all blocks of a.
PackedB pack_columns(const Stream& stream, const GemmShape& shape, const float* b, int64_t column, int64_t columns) {
  const int64_t n = shape.n, k = shape.k, panel_stride = k * kTileColumns;
  float* const panels = thread_scratch(Scratch::filters, ceil_divide(columns, kTileColumns) * panel_stride);
  parallel_for(stream, columns, kTileColumns, [&](int64_t begin, int64_t end) {
    float* const panel = panels + begin / kTileColumns * panel_stride;
    if (shape.transpose_b) {
      pack_panels_transposed(b + (column + begin) * k, k, k, end - begin, panel, panel_stride);
    } else {
      pack_panels(b + column + begin, n, k, end - begin, panel, panel_stride);
    }
  });
  return {panels, panel_stride};
}

template <bool transpose_a>
void run_gemm(const Stream& stream, const GemmShape& shape, const float* a, const float* b, const Epilogue& epilogue,
              bool accumulate, float* c) {
  const auto [m, n, k, unused, transpose_b] = shape;
  const Blocking cut = choose_blocking(m, n, k, true);
  if (cut.splits > 1) {
    float* const partial = thread_scratch(Scratch::partial, cut.splits * m * n);
    run_product(stream, MatrixProduct<transpose_a>{m, n, k, a, b, transpose_b, {}, partial, n, m * n, {}, false}, cut);
    return add_splits(stream, m, n, cut.splits, partial, epilogue, accumulate, c);
  }
  if (m <= 2 * kMaxRows) {
    run_product(stream, MatrixProduct<transpose_a>{m, n, k, a, b, transpose_b, {}, c, n, 0, epilogue, accumulate}, cut);
    return;
  }
  // Many tasks need the same of b: as much of it as an L3 cache may hold is packed for all of them.
  constexpr int64_t kPackedFloats = int64_t{4} << 20;
  const int64_t most = larger(kMaxColumns, kPackedFloats / larger(k, 1) / kMaxColumns * kMaxColumns);
  for (int64_t column = 0; column < n; column += most) {
    const int64_t columns = smaller(most, n - column);
    const PackedB packed = pack_columns(stream, shape, b, column, columns);
    const Epilogue then{.bias = epilogue.bias != nullptr ? epilogue.bias + column : nullptr, .relu = epilogue.relu};
    run_product(
        stream,
        MatrixProduct<transpose_a>{m, columns, k, a, b, transpose_b, packed, c + column, n, 0, then, accumulate},
        choose_blocking(m, columns, k, false));
  }
}

// a [m,k] * b^T, b [n,k], where b is the larger one, as for a linear layer: c^T = b * a^T. Rows of b are then broadcast
// element by element, for which copies of them do; as columns they would have to be transposed.
void run_gemm_swapped(const Stream& stream, const GemmShape& shape, const float* a, const float* b,
                      const Epilogue& epilogue, bool accumulate, float* c) {
  const auto [m, n, k, unused_a, unused_b] = shape;
  const Blocking cut = choose_blocking(n, m, k, true);
  float* const partial = thread_scratch(Scratch::partial, cut.splits * m * n);
  run_product(stream, MatrixProduct<false>{n, m, k, b, a, true, {}, partial, m, m * n, {}, false}, cut);
  add_splits_transposed(stream, m, n, cut.splits, partial, epilogue, accumulate, c);
}

}  // namespace

void gemm(const Stream& stream, const GemmShape& shape, const float* a, const float* b, const Epilogue& epilogue,
          bool accumulate, float* c) {
  const bool swap = !shape.transpose_a && shape.transpose_b && shape.n > shape.m && shape.k >= shape.m;
  (shape.transpose_a ? run_gemm<true>
   : swap            ? run_gemm_swapped
                     : run_gemm<false>)(stream, shape, a, b, epilogue, accumulate, c);
}

}  // namespace convoy::CONVOY_ISA
