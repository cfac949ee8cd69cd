// Matrix product on the CPU. Operands are packed, whatever their transposition: a block by block, unless b is so narrow that a
// copy would not pay; b likewise or, where many tasks need the same of it, before; b of few rows of a is read where it lies.
#include "tensor/cpu/cache_sets.h"
#include "tensor/cpu/matrix_product.h"
#include "tensor/cpu/split_sums.h"
#include "tensor/cpu/table.h"

namespace convoy::CONVOY_ISA {
namespace {

// Columns [column, column + columns) of b, for all blocks of a.
PackedB pack_columns(const Stream& stream, const GemmShape& shape, const float* b, int64_t column, int64_t columns) {
  const int64_t n = shape.n, k = shape.k, stride = gapped_panel_stride(k);
  float* const panels = thread_scratch(Scratch::filters, ceil_divide(columns, kTileColumns) * stride);
  if (shape.transpose_b) {
    parallel_for(stream, columns, kTileColumns, [&](int64_t begin, int64_t end) {
      pack_panels_transposed(b + (column + begin) * k, k, k, end - begin, panels + begin / kTileColumns * stride,
                             stride);
    });
  } else {
    constexpr int64_t kRows = 32;  // long ones: memory is read in runs
    parallel_for(stream, k, kRows, [&](int64_t begin, int64_t end) {
      pack_panels(b + begin * n + column, n, end - begin, columns, panels + begin * kTileColumns, stride);
    });
  }
  return {panels, stride};
}

// Whether the `rows` rows of a panel of b are better read where they lie than copied first: not where they compete for a few cache
// sets. By measurement, few rows that lie 512 floats apart are, 1,024 not, and of many neither.
bool reads_in_place(int64_t rows, int64_t n) {
  constexpr int64_t kFew = 64;
  return rows_spread_over_sets(rows <= kFew ? 8 : 14, n);
}

template <Layout layout>
void run(const Stream& stream, const MatrixOperands& operands, Blocking cut) {
  const int64_t m = operands.m, n = operands.n, k = operands.k;
  if (m == 0 || n == 0) return;
  if constexpr (layout == Layout::rows) {
    // Where b is one block of columns, a copy of a would be read hardly more often than a itself; but rows of a power of two
    // would compete for the cache.
    if (n <= kMaxColumns && rows_spread_over_sets(kTileRows, k)) {
      cut.depth = even_part(cut.split_depth, depth_that_fits(n));
      return run_product(stream, MatrixProduct<Layout::far_rows>{operands}, cut);
    }
  }
  if (!operands.transpose_b && operands.packed.panels == nullptr && cut.splits == 1 && reads_in_place(k, n))
    return run_panels(stream, PanelProduct<layout>(operands, cut), cut);
  // Where sums have few terms it counts that the lines of a tile of c find room in the first-level cache; where its rows compete for
  // one set, of eight lines or more, it is smaller.
  constexpr int64_t kFewTerms = 128, kSetLines = 8;
  if (k <= kFewTerms && !rows_spread_over_sets(kTileRows, operands.row_length))
    cut.tile_rows = smaller(kSetLines, kTileRows);
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
    Epilogue then = epilogue;
    if (then.bias != nullptr) then.bias += column;
    if (then.gate != nullptr) then.gate += column;
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
