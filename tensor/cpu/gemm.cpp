// Matrix product on the CPU. Both operands are packed block by block, whatever their transposition.
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
  float* c;
  int64_t split_stride;  // floats between the results of two splits of k
  Epilogue epilogue;
  bool accumulate;

  BlockA block_a(int64_t row, int64_t rows, int64_t step, int64_t depth, float* scratch) const {
    if (transpose_a) {
      for (int64_t s = 0; s < depth; ++s) copy_floats(scratch + s * rows, a + (step + s) * m + row, rows);
      return {scratch, rows};
    }
    for (int64_t i = 0; i < rows; ++i) copy_floats(scratch + i * kRowStride, a + (row + i) * k + step, depth);
    return {scratch, 0};
  }

  BlockB block_b(int64_t step, int64_t depth, int64_t column, int64_t columns, float* scratch) const {
    const int64_t panel_stride = depth * kTileColumns;
    if (transpose_b) {
      pack_panels_transposed(b + column * k + step, k, depth, columns, scratch, panel_stride);
    } else {
      pack_panels(b + step * n + column, n, depth, columns, scratch, panel_stride);
    }
    return {scratch, panel_stride};
  }

  void row_offsets(int64_t row, int64_t rows, int64_t* out) const {
    for (int64_t i = 0; i < rows; ++i) out[i] = (row + i) * n;
  }

  float* destination(int64_t split) const { return c + split * split_stride; }
};

template <bool transpose_a>
void run_gemm(const Stream& stream, const GemmShape& shape, const float* a, const float* b, const Epilogue& epilogue,
              bool accumulate, float* c) {
  const auto [m, n, k, unused, transpose_b] = shape;
  const Blocking cut = choose_blocking(m, n, k, true);
  if (cut.splits == 1) {
    run_product(stream, MatrixProduct<transpose_a>{m, n, k, a, b, transpose_b, c, 0, epilogue, accumulate}, cut);
    return;
  }
  float* partial = thread_scratch(Scratch::partial, cut.splits * m * n);
  run_product(stream, MatrixProduct<transpose_a>{m, n, k, a, b, transpose_b, partial, m * n, {}, false}, cut);
  add_splits(stream, m, n, cut.splits, partial, epilogue, accumulate, c);
}

// a [m,k] * b^T, b [n,k], where b is the larger one, as for a linear layer: c^T = b * a^T. Rows of b are then broadcast
// element by element, for which copies of them do; as columns they would have to be transposed.
void run_gemm_swapped(const Stream& stream, const GemmShape& shape, const float* a, const float* b,
                      const Epilogue& epilogue, bool accumulate, float* c) {
  const auto [m, n, k, unused_a, unused_b] = shape;
  const Blocking cut = choose_blocking(n, m, k, true);
  float* const partial = thread_scratch(Scratch::partial, cut.splits * m * n);
  run_product(stream, MatrixProduct<false>{n, m, k, b, a, true, partial, m * n, {}, false}, cut);
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
