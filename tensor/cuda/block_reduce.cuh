// Reductions within a block, by a tree of fixed shape. What is reduced is a state with a merge():
//
//   Sums<float, 4> mine;                    // of this thread
//   merge_down_columns(mine, across);       // threads below `across` now hold the block's
//
// Launch with shared_bytes = blockDim.x * sizeof(state); blockDim.x and `across` are powers of two.
#pragma once

#include "tensor/cuda/intrinsics.cuh"

namespace convoy::cuda {

// N sums side by side.
template <class T, int N>
struct Sums {
  T v[N] = {};

  __device__ void merge(const Sums& other) {
    for (int i = 0; i < N; ++i) v[i] += other.v[i];
  }
};

// Mean and M2 (sum of squared distances from the mean) of `count` rows in N columns. Merging is formula (2.1) of Chan,
// Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
template <class T, int N>
struct Moments {
  T count = 0;
  T mean[N] = {}, m2[N] = {};

  __device__ void merge(const Moments& other) {
    if (other.count == 0) return;
    const T share = other.count / (count + other.count), weight = share * count;
    for (int i = 0; i < N; ++i) {
      const T delta = other.mean[i] - mean[i];
      mean[i] += delta * share;
      m2[i] += other.m2[i] + delta * delta * weight;
    }
    count += other.count;
  }
};

// Merges the states of the threads t, t + across, t + 2 * across, … of the block into thread t's, for t < across. The
// other threads' are left partly merged. Called by all threads; ends without a barrier.
template <class State>
__device__ inline void merge_down_columns(State& mine, unsigned across) {
  State* const shared = dynamic_shared<State>();
  const unsigned t = threadIdx.x;
  shared[t] = mine;
  for (unsigned half = blockDim.x / 2; half >= across; half /= 2) {
    __syncthreads();
    if (t < half) {
      mine.merge(shared[t + half]);
      shared[t] = mine;
    }
  }
}

}  // namespace convoy::cuda
