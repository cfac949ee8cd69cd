// Batch normalisation over [rows, channels]. Ioffe, Szegedy, "Batch Normalization", 2015.
//
// Every kernel is one pass over memory, on the tiles of matrix.cuh: a thread keeps its channels' parameters and sums in
// registers while rows stream by.
#include "tensor/cuda/matrix.cuh"
#include "tensor/cuda/product_result.cuh"
#include "tensor/cuda/table.h"
#include "tensor/memory_pool.h"

namespace convoy::cuda {
namespace {

// The map from x to the normalised output, for one batch.
struct Normalisation {
  const float *mean, *variance;
  float epsilon;
  const float *gamma, *beta;
  bool relu;
};

// The same for a thread's channels: z = (x - mean) * multiplier + beta.
template <int W>
struct Channels {
  Vector<W> mean, multiplier, beta;

  // Channels [c, c + W); read one by one, as these arrays need not be aligned.
  __device__ Channels(const Normalisation& map, int64_t c) {
    for (int j = 0; j < W; ++j) {
      mean[j] = map.mean[c + j];
      multiplier[j] = map.gamma[c + j] / sqrtf(map.variance[c + j] + map.epsilon);
      beta[j] = map.beta[c + j];
    }
  }
};

// Two blocks to a multiprocessor are promised, so that the compiler takes the registers it needs: with four rows of
// several arrays in flight, bytes under way do not depend on many blocks.
constexpr int kBlocks = 2;

constexpr int kStatisticsRows = 8;  // a thread's rows whose mean is taken before their M2

// Tiles as in matrix.cuh. A thread takes mean and M2 of 8 rows at a time, from registers, and merges them into those of
// its rows before; then the block merges its threads. Means are kept relative to `x`'s first row, so that a large common
// offset costs no digits. partial is [pieces][mean, M2][channels]. Reads 4 bytes an element, 2 in bf16.
template <int W, class T>
__global__ void __launch_bounds__(kTileThreads, kBlocks)
    statistics_kernel(MatrixCut cut, const T* __restrict__ x, float* __restrict__ partial) {
  const MatrixTile tile = MatrixTile::of_thread<W>(cut);
  Moments<float, W> mine;
  const Vector<W> shift = tile.inside ? load<W>(x + tile.column) : Vector<W>{};
  for (int64_t row = tile.row; row < tile.end; row += kStatisticsRows * tile.height) {
    Vector<W> d[kStatisticsRows];
    Moments<float, W> here;
#pragma unroll
    for (int k = 0; k < kStatisticsRows; ++k) {
      if (row + k * tile.height < tile.end) d[k] = load<W>(x + (row + k * tile.height) * cut.columns + tile.column);
    }
#pragma unroll
    for (int k = 0; k < kStatisticsRows; ++k) {
      if (row + k * tile.height >= tile.end) continue;
      here.count += 1;
      for (int j = 0; j < W; ++j) here.mean[j] += d[k][j] -= shift[j];
    }
    const float inverse = 1.0f / here.count;
    for (int j = 0; j < W; ++j) here.mean[j] *= inverse;
#pragma unroll
    for (int k = 0; k < kStatisticsRows; ++k) {
      if (row + k * tile.height >= tile.end) continue;
      for (int j = 0; j < W; ++j) here.m2[j] += (d[k][j] - here.mean[j]) * (d[k][j] - here.mean[j]);
    }
    mine.merge(here);
  }
  merge_down_columns(mine, cut.across);
  if (threadIdx.x >= cut.across || !tile.inside) return;
  float* const out = partial + tile.piece * 2 * cut.columns + tile.column;
  for (int j = 0; j < W; ++j) {
    out[j] = mine.mean[j];
    out[cut.columns + j] = mine.m2[j];
  }
}

// Finishing blocks as in matrix.cuh. Means in `partial` are relative to the first row of x, to 0 when x is null.
template <class T>
__global__ void __launch_bounds__(kTileThreads, kBlocks)
    statistics_finish_kernel(MatrixCut cut, const T* __restrict__ x, const float* __restrict__ partial,
                             float* __restrict__ mean, float* __restrict__ variance) {
  finish_columns<Moments<double, 1>>(
      cut.columns, cut.pieces,
      [=](auto& moments, int64_t c, int64_t piece) {
        const int64_t left = cut.rows - piece * cut.rows_per_piece;
        const float* const from = partial + piece * 2 * cut.columns + c;
        Moments<double, 1> here;
        here.count = static_cast<double>(left < cut.rows_per_piece ? left : cut.rows_per_piece);
        here.mean[0] = static_cast<double>(from[0]);
        here.m2[0] = static_cast<double>(from[cut.columns]);
        moments.merge(here);
      },
      [=](const auto& moments, int64_t c) {
        const bool empty = cut.rows == 0;
        const float shift = x != nullptr && !empty ? to_float(x[c]) : 0.0f;
        mean[c] = empty ? 0.0f : static_cast<float>(static_cast<double>(shift) + moments.mean[0]);
        variance[c] = empty ? 0.0f : static_cast<float>(moments.m2[0] / static_cast<double>(cut.rows));
      });
}

// Tiles as in matrix.cuh. Moves 8 bytes an element, 4 in bf16. y may be x.
template <int W, class T>
__global__ void __launch_bounds__(kTileThreads, kBlocks)
    normalize_kernel(MatrixCut cut, const T* x, Normalisation map, T* y) {
  const MatrixTile tile = MatrixTile::of_thread<W>(cut);
  if (!tile.inside) return;
  const Channels<W> channels(map, tile.column);
  for_rows<W>(
      cut, tile,
      [&](int64_t at, const auto& in) {
        Vector<W> out;
        for (int j = 0; j < W; ++j) {
          const float z = (in[0][j] - channels.mean[j]) * channels.multiplier[j] + channels.beta[j];
          out[j] = map.relu && z < 0 ? 0.0f : z;  // lets NaN through
        }
        store(y + at, out);
      },
      x);
}

// Tiles as in matrix.cuh; a thread sums its rows, then the block its threads. partial is [pieces][sum dz * (x - mean),
// sum dz][channels]. Reads 8 bytes an element, 4 in bf16.
template <int W, class T>
__global__ void __launch_bounds__(kTileThreads, kBlocks)
    backward_reduce_kernel(MatrixCut cut, const T* __restrict__ x, const T* __restrict__ dy, Normalisation map,
                           float* __restrict__ partial) {
  const MatrixTile tile = MatrixTile::of_thread<W>(cut);
  Sums<float, 2 * W> sums;
  if (tile.inside) {
    const Channels<W> channels(map, tile.column);
    for_rows<W>(
        cut, tile,
        [&](int64_t, const auto& in) {
          for (int j = 0; j < W; ++j) {
            const float centred = in[0][j] - channels.mean[j];
            const bool passed = !map.relu || centred * channels.multiplier[j] + channels.beta[j] > 0;
            const float dz = passed ? in[1][j] : 0.0f;
            sums.v[j] += dz * centred;
            sums.v[W + j] += dz;
          }
        },
        x, dy);
  }
  merge_down_columns(sums, cut.across);
  if (threadIdx.x >= cut.across || !tile.inside) return;
  float* const out = partial + tile.piece * 2 * cut.columns + tile.column;
  for (int j = 0; j < W; ++j) {
    out[j] = sums.v[j];
    out[cut.columns + j] = sums.v[W + j];
  }
}

// Finishing blocks as in matrix.cuh.
__global__ void __launch_bounds__(kTileThreads, kBlocks)
    backward_reduce_finish_kernel(int64_t channels, int64_t pieces, const float* __restrict__ partial,
                                  const float* __restrict__ variance, float epsilon, float* __restrict__ dgamma,
                                  float* __restrict__ dbeta) {
  finish_columns<Sums<double, 2>>(
      channels, pieces,
      [=](auto& sums, int64_t c, int64_t piece) {
        const float* const from = partial + piece * 2 * channels + c;
        sums.v[0] += static_cast<double>(from[0]);
        sums.v[1] += static_cast<double>(from[channels]);
      },
      [=](const auto& sums, int64_t c) {
        const double deviation = sqrt(static_cast<double>(variance[c]) + static_cast<double>(epsilon));
        dgamma[c] = static_cast<float>(sums.v[0] / deviation);
        dbeta[c] = static_cast<float>(sums.v[1]);
      });
}

// dx = multiplier * dz - constant - (x - mean) * slope. Tiles as in matrix.cuh. Moves 12 bytes an element, 16 when it
// accumulates; half of that in bf16.
template <int W, class T, bool Accumulate>
__global__ void __launch_bounds__(kTileThreads, kBlocks)
    backward_input_kernel(MatrixCut cut, float inverse_rows, const T* __restrict__ x, const T* __restrict__ dy,
                          Normalisation map, const float* __restrict__ dgamma, const float* __restrict__ dbeta, T* dx) {
  const MatrixTile tile = MatrixTile::of_thread<W>(cut);
  if (!tile.inside) return;
  const Channels<W> channels(map, tile.column);
  Vector<W> constant, slope;
  for (int j = 0; j < W; ++j) {
    const int64_t c = tile.column + j;
    constant[j] = channels.multiplier[j] * dbeta[c] * inverse_rows;
    slope[j] = channels.multiplier[j] * dgamma[c] * inverse_rows / sqrtf(map.variance[c] + map.epsilon);
  }
  const auto body = [&](int64_t at, const auto& in) {
    Vector<W> out;
    for (int j = 0; j < W; ++j) {
      const float centred = in[0][j] - channels.mean[j];
      const bool passed = !map.relu || centred * channels.multiplier[j] + channels.beta[j] > 0;
      const float dz = passed ? in[1][j] : 0.0f;
      out[j] = dz * channels.multiplier[j] - constant[j] - centred * slope[j];
      if constexpr (Accumulate) out[j] += in[2][j];
    }
    store(dx + at, out);
  };
  if constexpr (Accumulate) {
    for_rows<W>(cut, tile, body, x, dy, dx);
  } else {
    for_rows<W>(cut, tile, body, x, dy);
  }
}

// A thread per channel.
__global__ void __launch_bounds__(kTileThreads, kBlocks)
    update_running_kernel(int64_t channels, float momentum, float unbiased, const float* __restrict__ mean,
                          const float* __restrict__ variance, float* __restrict__ running_mean,
                          float* __restrict__ running_variance) {
  const int64_t step = int64_t{gridDim.x} * kTileThreads;
  for (int64_t c = int64_t{blockIdx.x} * kTileThreads + threadIdx.x; c < channels; c += step) {
    running_mean[c] = (1 - momentum) * running_mean[c] + momentum * mean[c];
    running_variance[c] = (1 - momentum) * running_variance[c] + momentum * unbiased * variance[c];
  }
}

// Room for two floats per piece and channel.
std::shared_ptr<std::byte> allocate_partial(const Stream& stream, const MatrixCut& cut) {
  return pool_allocate(stream.device, cut.pieces * cut.columns * 2 * static_cast<int64_t>(sizeof(float)));
}

}  // namespace

void batch_norm_statistics(const Stream& stream, int64_t rows, int64_t channels, ConstArray x, float* mean,
                           float* variance) {
  with_type(x.dtype, [&]<class T> {
    with_width(channels % 4 == 0 && aligned(x.as<T>()), [&]<int W> {
      const MatrixCut cut = cut_for_reduction(rows, channels, W);
      const auto scratch = allocate_partial(stream, cut);
      float* const partial = reinterpret_cast<float*>(scratch.get());
      launch("batch_norm_statistics", stream, cut.grid(sizeof(Moments<float, W>)), statistics_kernel<W, T>, cut,
             x.as<T>(), partial);
      launch("batch_norm_statistics", stream, finishing_grid<Moments<double, 1>>(channels), statistics_finish_kernel<T>,
             cut, x.as<T>(), partial, mean, variance);
    });
  });
}

void merge_moments(const Stream& stream, int64_t rows, int64_t columns, int64_t rows_per_piece, const float* moments,
                   float* mean, float* variance) {
  const MatrixCut cut{.rows = rows,
                      .columns = columns,
                      .rows_per_piece = rows_per_piece,
                      .pieces = (rows + rows_per_piece - 1) / rows_per_piece,
                      .tiles = 0,
                      .across = 1};
  const float* const no_shift = nullptr;
  launch("batch_norm_statistics", stream, finishing_grid<Moments<double, 1>>(columns), statistics_finish_kernel<float>,
         cut, no_shift, moments, mean, variance);
}

void batch_norm_normalize(const Stream& stream, int64_t rows, int64_t channels, ConstArray x, const float* mean,
                          const float* variance, float epsilon, const float* gamma, const float* beta, bool relu,
                          Array y) {
  with_type(y.dtype, [&]<class T> {
    with_width(channels % 4 == 0 && aligned(x.as<T>(), y.as<T>()), [&]<int W> {
      const MatrixCut cut = cut_for_map(rows, channels, W);
      launch("batch_norm_normalize", stream, cut.grid(), normalize_kernel<W, T>, cut, x.as<T>(),
             Normalisation{mean, variance, epsilon, gamma, beta, relu}, y.as<T>());
    });
  });
}

void batch_norm_backward_reduce(const Stream& stream, int64_t rows, int64_t channels, ConstArray x, ConstArray dy,
                                const float* mean, const float* variance, float epsilon, const float* gamma,
                                const float* beta, bool relu, float* dgamma, float* dbeta) {
  with_type(x.dtype, [&]<class T> {
    with_width(channels % 4 == 0 && aligned(x.as<T>(), dy.as<T>()), [&]<int W> {
      const MatrixCut cut = cut_for_reduction(rows, channels, W);
      const auto scratch = allocate_partial(stream, cut);
      float* const partial = reinterpret_cast<float*>(scratch.get());
      launch("batch_norm_backward_reduce", stream, cut.grid(sizeof(Sums<float, 2 * W>)), backward_reduce_kernel<W, T>,
             cut, x.as<T>(), dy.as<T>(), Normalisation{mean, variance, epsilon, gamma, beta, relu}, partial);
      launch("batch_norm_backward_reduce", stream, finishing_grid<Sums<double, 2>>(channels),
             backward_reduce_finish_kernel, channels, cut.pieces, partial, variance, epsilon, dgamma, dbeta);
    });
  });
}

void batch_norm_backward_input(const Stream& stream, int64_t rows, int64_t channels, int64_t total_rows, ConstArray x,
                               ConstArray dy, const float* mean, const float* variance, float epsilon,
                               const float* gamma, const float* beta, bool relu, const float* dgamma,
                               const float* dbeta, bool accumulate, Array dx) {
  const float inverse_rows = 1.0f / static_cast<float>(total_rows);
  with_type(dx.dtype, [&]<class T> {
    with_width(channels % 4 == 0 && aligned(x.as<T>(), dy.as<T>(), dx.as<T>()), [&]<int W> {
      const MatrixCut cut = cut_for_map(rows, channels, W);
      const auto kernel = accumulate ? backward_input_kernel<W, T, true> : backward_input_kernel<W, T, false>;
      launch("batch_norm_backward_input", stream, cut.grid(), kernel, cut, inverse_rows, x.as<T>(), dy.as<T>(),
             Normalisation{mean, variance, epsilon, gamma, beta, relu}, dgamma, dbeta, dx.as<T>());
    });
  });
}

void batch_norm_update_running(const Stream& stream, int64_t rows, int64_t channels, float momentum, const float* mean,
                               const float* variance, float* running_mean, float* running_variance) {
  const float unbiased = rows > 1 ? static_cast<float>(rows) / static_cast<float>(rows - 1) : 1.0f;
  launch("batch_norm_update_running", stream, grid_for(channels, 1, kTileThreads), update_running_kernel, channels,
         momentum, unbiased, mean, variance, running_mean, running_variance);
}

}  // namespace convoy::cuda
