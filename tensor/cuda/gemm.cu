// Matrix product on CUDA: the product kernel (product.cuh) with matrices for both operands.
#include "tensor/cuda/bf16_tile.cuh"
#include "tensor/cuda/fma_tile.cuh"
#include "tensor/cuda/table.h"

namespace convoy::cuda {
namespace {

template <class Tiles>
void gemm_with(const Stream& stream, const GemmShape& shape, ConstArray a, ConstArray b, const ProductResult& result) {
  using T = typename Tiles::Element;
  const auto run = [&]<Lines a_lines, Lines b_lines>(const MatrixLines<T>& a, const MatrixLines<T>& b) {
    run_product<Tiles>("gemm", stream, Operand<MatrixLines<T>, a_lines>(a), Operand<MatrixLines<T>, b_lines>(b),
                       shape.k, result);
  };
  const int m = extent(shape.m), n = extent(shape.n), k = extent(shape.k);
  const MatrixLines<T> rows_of_a{a.as<T>(), m, k}, columns_of_a{a.as<T>(), k, m};
  const MatrixLines<T> columns_of_b{b.as<T>(), n, k}, rows_of_b{b.as<T>(), k, n};
  if (shape.transpose_a) {
    if (shape.transpose_b) return run.template operator()<Lines::depth, Lines::rows>(columns_of_a, columns_of_b);
    return run.template operator()<Lines::depth, Lines::depth>(columns_of_a, rows_of_b);
  }
  if (shape.transpose_b) return run.template operator()<Lines::rows, Lines::rows>(rows_of_a, columns_of_b);
  run.template operator()<Lines::rows, Lines::depth>(rows_of_a, rows_of_b);
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
  result.store(0, static_cast<int>(index / result.columns), static_cast<int>(index % result.columns), Vector<1>{sum});
}

}  // namespace

void add_pieces(const Stream& stream, int64_t pieces, const float* partial, const ProductResult& result) {
  const int64_t count = int64_t{result.rows} * result.columns;
  const Grid grid{.blocks = dim3(static_cast<unsigned>((count + kColumnsOfBlock - 1) / kColumnsOfBlock)),
                  .threads = kColumnsOfBlock * kLanesOfPieces,
                  .shared_bytes = kColumnsOfBlock * kLanesOfPieces * sizeof(float)};
  launch("add_product_pieces", stream, grid, add_pieces_kernel, static_cast<int>(pieces), partial, result);
}

void gemm(const Stream& stream, const GemmShape& shape, ConstArray a, ConstArray b, const Epilogue& epilogue,
          bool accumulate, Array c) {
  const ProductResult result{.c = c,
                             .rows = extent(shape.m),
                             .columns = extent(shape.n),
                             .row_stride = shape.n,
                             .epilogue = epilogue,
                             .accumulate = accumulate,
                             .vectors = shape.n % 4 == 0 && aligned_for_vectors(c)};
  if (a.dtype == DType::bf16) return gemm_with<Bf16Tiles>(stream, shape, a, b, result);
  if (stream.precision == Precision::fp32) return gemm_with<FmaTiles>(stream, shape, a, b, result);
  gemm_with<Tf32Tiles>(stream, shape, a, b, result);
}

}  // namespace convoy::cuda
