// Matrix product on the CPU. Operands are packed, whatever their transposition: a block by block, unless b is so narrow that a
// copy would not pay; b likewise or, where many tasks need the same of it, before.
#include "tensor/cpu/blocked_product.h"
#include "tensor/cpu/split_sums.h"
#include "tensor/cpu/table.h"

namespace convoy::CONVOY_ISA {
namespace {

struct MatrixOperands {
  int64_t m, n, k;
  const float *a, *b;
  bool transpose_b;
  PackedB packed;  // of b; no panels: each task packs what it needs
  float* c;
  int64_t row_length;    // floats from one row of c to the next
  int64_t split_stride;  // floats between the results of two splits of k
  Epilogue epilogue;
  bool accumulate;

  BlockB block_b(int64_t step, int64_t depth, int64_t column, int64_t columns, float* scratch) const {
    if (packed.panels != nullptr) return {packed.at(step, column), packed.panel_stride};
    if (transpose_b) {
      pack_panels_transposed(b + column * k + step, k, depth, columns, scratch, panel_stride(depth));
    } else {
      pack_panels(b + step * n + column, n, depth, columns, scratch, panel_stride(depth));
    }
    return {scratch, panel_stride(depth)};
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

// Whether rows `stride` floats apart can be multiplied where they lie: not where many of a tile's begin in one set of a
// first-level cache, for which they would compete.
bool rows_spread_over_sets(int64_t stride) {
  constexpr int kSets = 64, kMost = 4, kLine = 16;  // floats
  int rows_of[kSets] = {};
  for (int64_t i = 0; i < kTileRows; ++i)
    if (++rows_of[i * stride / kLine % kSets] > kMost) return false;
  return true;
}

template <Layout layout>
void run(const Stream& stream, const MatrixOperands& operands, Blocking cut) {
  const int64_t n = operands.n;
  if constexpr (layout == Layout::rows) {
    // Where b is one block of columns, a copy of a would be read hardly more often than a itself.
    if (n <= kMaxColumns && rows_spread_over_sets(operands.k)) {
      cut.depth = even_part(cut.split_depth, depth_that_fits(n));
      return run_product(stream, MatrixProduct<Layout::far_rows>{operands}, cut);
    }
  }
  run_product(stream, MatrixProduct<layout>{operands}, cut);
}

template <Layout layout>
void run_gemm(const Stream& stream, const GemmShape& shape, const float* a, const float* b, const Epilogue& epilogue,
              bool accumulate, float* c) {
  const auto [m, n, k, unused, transpose_b] = shape;
  const Blocking cut = choose_blocking(m, n, k, true);
  if (cut.splits > 1) {
    float* const partial = thread_scratch(Scratch::partial, cut.splits * m * n);
    run<layout>(stream, {m, n, k, a, b, transpose_b, {}, partial, n, m * n, {}, false}, cut);
    return add_splits(stream, m, n, cut.splits, partial, epilogue, accumulate, c);
  }
  if (m <= 2 * kMaxRows)
    return run<layout>(stream, {m, n, k, a, b, transpose_b, {}, c, n, 0, epilogue, accumulate}, cut);
  // Many tasks need the same of b: as much of it as an L3 cache may hold is packed for all of them.
  constexpr int64_t kPackedFloats = int64_t{4} << 20;
  const int64_t most = larger(kMaxColumns, kPackedFloats / larger(k, 1) / kMaxColumns * kMaxColumns);
  for (int64_t column = 0; column < n; column += most) {
    const int64_t columns = smaller(most, n - column);
    const PackedB packed = pack_columns(stream, shape, b, column, columns);
    const Epilogue then{.bias = epilogue.bias != nullptr ? epilogue.bias + column : nullptr, .relu = epilogue.relu};
    run<layout>(stream, {m, columns, k, a, b, transpose_b, packed, c + column, n, 0, then, accumulate},
                choose_blocking(m, columns, k, false));
  }
}

// a [m,k] * b^T, b [n,k], where b is the larger one, as for a linear layer: c^T = b * a^T. Rows of b are then broadcast
// element by element; as columns they would have to be transposed.
void run_gemm_swapped(const Stream& stream, const GemmShape& shape, const float* a, const float* b,
                      const Epilogue& epilogue, bool accumulate, float* c) {
  const auto [m, n, k, unused_a, unused_b] = shape;
  const Blocking cut = choose_blocking(n, m, k, true);
  float* const partial = thread_scratch(Scratch::partial, cut.splits * m * n);
  run<Layout::rows>(stream, {n, m, k, b, a, true, {}, partial, m, m * n, {}, false}, cut);
  add_splits_transposed(stream, m, n, cut.splits, partial, epilogue, accumulate, c);
}

}  // namespace

void gemm(const Stream& stream, const GemmShape& shape, const float* a, const float* b, const Epilogue& epilogue,
          bool accumulate, float* c) {
  const bool swap = !shape.transpose_a && shape.transpose_b && shape.n > shape.m && shape.k >= shape.m;
  (shape.transpose_a ? run_gemm<Layout::columns>
   : swap            ? run_gemm_swapped
                     : run_gemm<Layout::rows>)(stream, shape, a, b, epilogue, accumulate, c);
}

}  // namespace convoy::CONVOY_ISA
