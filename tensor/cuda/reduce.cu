// Bias and reductions. Long sums are taken in two launches: pieces fixed by the shape, then the pieces in a fixed order.
#include "tensor/cuda/matrix.cuh"
#include "tensor/cuda/table.h"
#include "tensor/memory_pool.h"

namespace convoy::cuda {
namespace {

// --- matrices -----------------------------------------------------------------------------------------------------

// Tiles as in matrix.cuh; a thread keeps its columns' bias. Moves 8 bytes an element, 4 in bf16.
template <int W, class T>
__global__ void __launch_bounds__(kTileThreads)
    bias_forward_kernel(MatrixCut cut, const T* x, const float* __restrict__ bias, T* y) {
  const MatrixTile tile = MatrixTile::of_thread<W>(cut);
  if (!tile.inside) return;
  const Vector<W> b = load<W>(bias + tile.column);
  for_rows<W>(
      cut, tile,
      [&](int64_t at, const auto& in) {
        Vector<W> out;
        for (int j = 0; j < W; ++j) out[j] = in[0][j] + b[j];
        store(y + at, out);
      },
      x);
}

// Writes the block's sums to its piece of partial [pieces, columns]. Called by all threads.
template <int W>
__device__ void store_piece(const MatrixCut& cut, const MatrixTile& tile, Sums<float, W>& sums, float* partial) {
  merge_down_columns(sums, cut.across);
  if (threadIdx.x >= cut.across || !tile.inside) return;
  for (int j = 0; j < W; ++j) partial[tile.piece * cut.columns + tile.column + j] = sums.v[j];
}

// Tiles as in matrix.cuh; a thread sums its rows, then the block its threads. Reads 4 bytes an element,
// 2 in bf16.
template <int W, class T>
__global__ void __launch_bounds__(kTileThreads)
    column_sum_kernel(MatrixCut cut, const T* __restrict__ x, float* __restrict__ partial) {
  const MatrixTile tile = MatrixTile::of_thread<W>(cut);
  Sums<float, W> sums;
  for_rows<W>(
      cut, tile,
      [&](int64_t, const auto& in) {
        for (int j = 0; j < W; ++j) sums.v[j] += in[0][j];
      },
      x);
  store_piece<W>(cut, tile, sums, partial);
}

// As column_sum_kernel, for dz = dy where y > 0. Moves 12 bytes an element, 6 in bf16. dz may be dy.
template <int W, class T>
__global__ void __launch_bounds__(kTileThreads)
    bias_relu_backward_kernel(MatrixCut cut, const T* __restrict__ y, const T* dy, T* dz, float* __restrict__ partial) {
  const MatrixTile tile = MatrixTile::of_thread<W>(cut);
  Sums<float, W> sums;
  for_rows<W>(
      cut, tile,
      [&](int64_t at, const auto& in) {
        Vector<W> out;
        for (int j = 0; j < W; ++j) {
          out[j] = in[0][j] > 0 ? in[1][j] : 0.0f;
          sums.v[j] += out[j];
        }
        store(dz + at, out);
      },
      y, dy);
  store_piece<W>(cut, tile, sums, partial);
}

// Finishing blocks as in matrix.cuh.
__global__ void __launch_bounds__(kTileThreads)
    add_pieces_kernel(int64_t columns, int64_t pieces, const float* __restrict__ partial, bool accumulate, float* out) {
  finish_columns<Sums<double, 1>>(
      columns, pieces,
      [=](auto& sum, int64_t column, int64_t piece) {
        sum.v[0] += static_cast<double>(partial[piece * columns + column]);
      },
      [=](const auto& sum, int64_t column) {
        const double before = accumulate ? static_cast<double>(out[column]) : 0.0;
        out[column] = static_cast<float>(before + sum.v[0]);
      });
}

void add_pieces(const Stream& stream, const MatrixCut& cut, const float* partial, bool accumulate, float* out) {
  launch("add_pieces", stream, finishing_grid<Sums<double, 1>>(cut.columns), add_pieces_kernel, cut.columns, cut.pieces,
         partial, accumulate, out);
}

// --- arrays -------------------------------------------------------------------------------------------------------

constexpr int64_t kPiece = 16384;  // elements summed into one partial result
constexpr unsigned kThreads = 256;

struct Value {
  using Total = double;
  static __device__ Total of(float x) { return static_cast<double>(x); }
};

struct IsNonfinite {
  using Total = int32_t;
  static __device__ Total of(float x) { return x - x == 0.0f ? 0 : 1; }  // infinity and NaN minus themselves are NaN
};

// partial [pieces] = the sum of F over each piece of x. A block per piece; its threads take every 256th vector, four at
// a time. Reads 4 bytes an element.
template <int W, class F>
__global__ void __launch_bounds__(kThreads)
    array_pieces_kernel(int64_t count, const float* __restrict__ x, typename F::Total* __restrict__ partial) {
  const int64_t begin = blockIdx.x * kPiece, end = begin + kPiece < count ? begin + kPiece : count;
  Sums<typename F::Total, 1> sum;
  int64_t i = begin + int64_t{threadIdx.x} * W;
#pragma unroll 4
  for (; i + W <= end; i += kThreads * W) {
    const Vector<W> v = load<W>(x + i);
    for (int j = 0; j < W; ++j) sum.v[0] += F::of(v[j]);
  }
  for (; i < end; ++i) sum.v[0] += F::of(x[i]);
  merge_down_columns(sum, 1);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum.v[0];
}

// out [1] = the sum of partial [pieces]. One block.
template <class Total, class Out>
__global__ void __launch_bounds__(kThreads)
    array_total_kernel(int64_t pieces, const Total* __restrict__ partial, Out* __restrict__ out) {
  Sums<Total, 1> sum;
#pragma unroll 4
  for (int64_t piece = threadIdx.x; piece < pieces; piece += kThreads) sum.v[0] += partial[piece];
  merge_down_columns(sum, 1);
  if (threadIdx.x == 0) out[0] = static_cast<Out>(sum.v[0]);
}

template <class F, class Out>
void reduce_array(const char* name, const Stream& stream, int64_t count, const float* x, Out* out) {
  using Total = typename F::Total;
  const int64_t pieces = (count + kPiece - 1) / kPiece;  // below 2^31 for whatever a GPU holds
  const auto scratch = pool_allocate(stream.device, pieces * static_cast<int64_t>(sizeof(Total)));
  Total* const partial = reinterpret_cast<Total*>(scratch.get());
  Grid grid{.blocks = dim3(static_cast<unsigned>(pieces)),
            .threads = kThreads,
            .shared_bytes = kThreads * sizeof(Sums<Total, 1>)};
  with_width(aligned(x), [&]<int W> { launch(name, stream, grid, array_pieces_kernel<W, F>, count, x, partial); });
  grid.blocks = dim3(1);
  launch(name, stream, grid, array_total_kernel<Total, Out>, pieces, partial, out);
}

// A group of `lanes` threads (a power of two, at most a warp) per row. Every lane starts from the row's first value, so
// that a NaN there stays and one elsewhere loses, and the smaller position wins among equals. Reads 4 bytes an element.
__global__ void __launch_bounds__(kThreads)
    argmax_kernel(int64_t rows, int64_t columns, int lanes, const float* __restrict__ x, int32_t* __restrict__ out) {
  const int64_t row = (int64_t{blockIdx.x} * kThreads + threadIdx.x) / lanes;
  const int lane = static_cast<int>(threadIdx.x) % lanes;
  float best = 0;
  int32_t position = 0;
  if (row < rows && columns > 0) {
    const float* const values = x + row * columns;
    best = values[0];
    for (int64_t c = lane; c < columns; c += lanes) {
      if (values[c] > best) {
        best = values[c];
        position = static_cast<int32_t>(c);
      }
    }
  }
  for (int distance = lanes / 2; distance > 0; distance /= 2) {
    const float other = __shfl_xor_sync(0xFFFFFFFFu, best, distance);
    const int32_t other_position = __shfl_xor_sync(0xFFFFFFFFu, position, distance);
    if (other > best || (other == best && other_position < position)) {
      best = other;
      position = other_position;
    }
  }
  if (row < rows && lane == 0) out[row] = position;
}

}  // namespace

void bias_forward(const Stream& stream, int64_t rows, int64_t columns, ConstArray x, const float* bias, Array y) {
  with_type(y.dtype, [&]<class T> {
    with_width(columns % 4 == 0 && aligned(x.as<T>(), bias, y.as<T>()), [&]<int W> {
      const MatrixCut cut = cut_for_map(rows, columns, W);
      launch("bias_forward", stream, cut.grid(), bias_forward_kernel<W, T>, cut, x.as<T>(), bias, y.as<T>());
    });
  });
}

void column_sum(const Stream& stream, int64_t rows, int64_t columns, ConstArray x, bool accumulate, float* out) {
  with_type(x.dtype, [&]<class T> {
    with_width(columns % 4 == 0 && aligned(x.as<T>()), [&]<int W> {
      const MatrixCut cut = cut_for_reduction(rows, columns, W);
      const auto scratch = pool_allocate(stream.device, cut.pieces * columns * static_cast<int64_t>(sizeof(float)));
      float* const partial = reinterpret_cast<float*>(scratch.get());
      launch("column_sum", stream, cut.grid(sizeof(Sums<float, W>)), column_sum_kernel<W, T>, cut, x.as<T>(), partial);
      add_pieces(stream, cut, partial, accumulate, out);
    });
  });
}

void bias_relu_backward(const Stream& stream, int64_t rows, int64_t columns, ConstArray y, ConstArray dy, Array dz,
                        bool accumulate, float* dbias) {
  with_type(dz.dtype, [&]<class T> {
    with_width(columns % 4 == 0 && aligned(y.as<T>(), dy.as<T>(), dz.as<T>()), [&]<int W> {
      const MatrixCut cut = cut_for_reduction(rows, columns, W);
      const auto scratch = pool_allocate(stream.device, cut.pieces * columns * static_cast<int64_t>(sizeof(float)));
      float* const partial = reinterpret_cast<float*>(scratch.get());
      launch("bias_relu_backward", stream, cut.grid(sizeof(Sums<float, W>)), bias_relu_backward_kernel<W, T>, cut,
             y.as<T>(), dy.as<T>(), dz.as<T>(), partial);
      if (dbias != nullptr) add_pieces(stream, cut, partial, accumulate, dbias);
    });
  });
}

void sum(const Stream& stream, int64_t count, const float* x, float* out) {
  reduce_array<Value>("sum", stream, count, x, out);
}

void argmax(const Stream& stream, int64_t rows, int64_t columns, const float* x, int32_t* out) {
  int lanes = 1;
  while (lanes < columns && lanes < 32) lanes *= 2;
  const Grid grid{.blocks = dim3(static_cast<unsigned>((rows * lanes + kThreads - 1) / kThreads)), .threads = kThreads};
  launch("argmax", stream, grid, argmax_kernel, rows, columns, lanes, x, out);
}

void count_nonfinite(const Stream& stream, int64_t count, const float* x, int32_t* out) {
  reduce_array<IsNonfinite>("count_nonfinite", stream, count, x, out);
}

}  // namespace convoy::cuda
