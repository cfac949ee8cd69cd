// Matrix product on CUDA: the product kernel (product.cuh) with matrices for both operands.
#include "tensor/cuda/fma_tile.cuh"
#include "tensor/cuda/table.h"
#include "tensor/cuda/tensor_core_tile.cuh"

namespace convoy::cuda {
namespace {

template <Lines a_lines, Lines b_lines>
void gemm_of_lines(const Stream& stream, const MatrixLines& a, const MatrixLines& b, int64_t depth,
                   const ProductResult& result) {
  const Operand<MatrixLines, a_lines> operand_a(a);
  const Operand<MatrixLines, b_lines> operand_b(b);
  switch (stream.precision) {
    case Precision::fp32:
      return run_product<FmaTiles>("gemm", stream, operand_a, operand_b, depth, result);
    case Precision::tf32:
      return run_product<TensorCoreTiles<Rounding::tf32>>("gemm", stream, operand_a, operand_b, depth, result);
    case Precision::bf16:
      return run_product<TensorCoreTiles<Rounding::bf16>>("gemm", stream, operand_a, operand_b, depth, result);
  }
}

// A thread adds up every eighth piece of one element of C; the eight sums of an element meet in shared memory. Reads
// the workspace once, 128 bytes in a row to a warp, and writes C.
constexpr int kColumnsOfBlock = 32, kLanesOfPieces = 8;

__global__ void __launch_bounds__(kColumnsOfBlock* kLanesOfPieces)
    add_pieces_kernel(int pieces, const float* __restrict__ partial, const ProductResult result) {
  float* const sums = dynamic_shared<float>();
  const int64_t count = int64_t{result.rows} * result.columns;
  const int64_t index = int64_t{blockIdx.x} * kColumnsOfBlock + threadIdx.x % kColumnsOfBlock;
  float sum = 0;
  if (index < count) {
#pragma unroll 4
    for (int piece = static_cast<int>(threadIdx.x) / kColumnsOfBlock; piece < pieces; piece += kLanesOfPieces) {
      sum += partial[piece * count + index];
    }
  }
  sums[threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.x >= kColumnsOfBlock || index >= count) return;
#pragma unroll
  for (int lane = 1; lane < kLanesOfPieces; ++lane) sum += sums[lane * kColumnsOfBlock + threadIdx.x];
  const float total[1] = {sum};
  result.store(0, static_cast<int>(index / result.columns), static_cast<int>(index % result.columns), total);
}

}  // namespace

void add_pieces(const Stream& stream, int64_t pieces, const float* partial, const ProductResult& result) {
  const int64_t count = int64_t{result.rows} * result.columns;
  const Grid grid{.blocks = dim3(static_cast<unsigned>((count + kColumnsOfBlock - 1) / kColumnsOfBlock)),
                  .threads = kColumnsOfBlock * kLanesOfPieces,
                  .shared_bytes = kColumnsOfBlock * kLanesOfPieces * sizeof(float)};
  launch("add_product_pieces", stream, grid, add_pieces_kernel, static_cast<int>(pieces), partial, result);
}

void gemm(const Stream& stream, const GemmShape& shape, const float* a, const float* b, const Epilogue& epilogue,
          bool accumulate, float* c) {
  const int m = extent(shape.m), n = extent(shape.n), k = extent(shape.k);
  const ProductResult result{.c = c,
                             .rows = m,
                             .columns = n,
                             .row_stride = n,
                             .epilogue = epilogue,
                             .accumulate = accumulate,
                             .vectors = n % 4 == 0 && aligned(c)};
  const MatrixLines rows_of_a{a, m, k}, columns_of_a{a, k, m}, columns_of_b{b, n, k}, rows_of_b{b, k, n};
  if (shape.transpose_a) {
    if (shape.transpose_b)
      return gemm_of_lines<Lines::depth, Lines::rows>(stream, columns_of_a, columns_of_b, k, result);
    return gemm_of_lines<Lines::depth, Lines::depth>(stream, columns_of_a, rows_of_b, k, result);
  }
  if (shape.transpose_b) return gemm_of_lines<Lines::rows, Lines::rows>(stream, rows_of_a, columns_of_b, k, result);
  return gemm_of_lines<Lines::rows, Lines::depth>(stream, rows_of_a, rows_of_b, k, result);
}

}  // namespace convoy::cuda
