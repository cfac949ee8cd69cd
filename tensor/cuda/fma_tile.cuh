// The arithmetic of the rung `tiled`: a block's tile of C in the registers of 128 threads, 8 by 8 elements each, by
// fused multiply-adds in fp32.
//
// Each step of the depth costs a thread 16 floats from shared memory for 64 multiply-adds. A warp covers 4 rows of
// threads by 8 columns of threads, so the threads of a warp read only 4 different values of A and 8 of B at a time, and
// one pass over the banks serves all 32.
#pragma once

#include "tensor/cuda/product.cuh"

namespace convoy::cuda {

class FmaTile {
 public:
  using Element = float;
  static constexpr int kRows = 128, kColumns = 64, kThreads = 128;
  static constexpr int kStages = 3,
                       kBlocksPerMultiprocessor = 3;  // 3 x 72 KiB of shared memory, 3 x 128 x 168 registers

  // Adds the product of two tiles in shared memory.
  template <Lines a_lines, Lines b_lines>
  __device__ void multiply(const float* a, const float* b) {
#pragma unroll 2
    for (int depth = 0; depth < kDepth<float>; depth += kAtOnce) {
      float a_values[kAtOnce][8], b_values[kAtOnce][8];
      read<a_lines, kRows, kDown>(a, down(), depth, a_values);
      read<b_lines, kColumns, kAcross>(b, across(), depth, b_values);
#pragma unroll
      for (int d = 0; d < kAtOnce; ++d) {
#pragma unroll
        for (int i = 0; i < 8; ++i) {
#pragma unroll
          for (int j = 0; j < 8; ++j) sums_[i][j] += a_values[d][i] * b_values[d][j];
        }
      }
    }
  }

  // Calls element(row, column, values) for the thread's elements of the tile, in runs along a row.
  template <Lines a_lines, Lines b_lines, class Store>
  __device__ void store(Store&& element) const {
    constexpr int kRun = b_lines == Lines::rows ? 1 : 4;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
#pragma unroll
      for (int j = 0; j < 8; j += kRun) {
        Vector<kRun> run;
#pragma unroll
        for (int l = 0; l < kRun; ++l) run[l] = sums_[i][j + l];
        element(index<a_lines, kDown>(down(), i), index<b_lines, kAcross>(across(), j), run);
      }
    }
  }

 private:
  static constexpr int kDown = 16, kAcross = 8;  // threads
  static constexpr int kAtOnce = 2;              // depths; four would need more registers than there are

  // A warp is 4 rows of 8 threads.
  static __device__ int down() { return static_cast<int>(threadIdx.x) / kAcross; }
  static __device__ int across() { return static_cast<int>(threadIdx.x) % kAcross; }

  // The i-th row (or column) of thread t out of `threads`. Lines along the depth are read one row at a time: rows of
  // neighbouring threads follow each other, and TileLayout::offset() keeps them in distinct banks. Lines along the rows are
  // read four rows at a time.
  template <Lines lines_are, int threads>
  static __device__ int index(int t, int i) {
    return lines_are == Lines::rows ? t + threads * i : (i / 4 * threads + t) * 4 + i % 4;
  }

  // values[d][i] = element (i-th row of thread t, depth + d)
  template <Lines lines_are, int rows, int threads>
  static __device__ void read(const float* tile, int t, int depth, float (&values)[kAtOnce][8]) {
    using Layout = TileLayout<lines_are, rows, float>;
    if constexpr (lines_are == Lines::rows) {
      const float* const row = tile + Layout::offset(t, depth);
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        const auto run = load<kAtOnce>(row + i * threads * Layout::kLine);
#pragma unroll
        for (int d = 0; d < kAtOnce; ++d) values[d][i] = run[d];
      }
    } else {
#pragma unroll
      for (int d = 0; d < kAtOnce; ++d) {
#pragma unroll
        for (int i = 0; i < 8; i += 4) {
          const auto run = load<4>(tile + Layout::offset(index<lines_are, threads>(t, i), depth + d));
#pragma unroll
          for (int j = 0; j < 4; ++j) values[d][i + j] = run[j];
        }
      }
    }
  }

  float sums_[8][8] = {};
};

struct FmaTiles {
  using Element = float;
  template <class Fits, class Body>
  static void choose(int64_t, Fits&&, Body&& body) {
    body.template operator()<FmaTile>();
  }
};

}  // namespace convoy::cuda
