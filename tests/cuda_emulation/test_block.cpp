// Threads of a block: built-in variables, barriers, shared memory.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "tensor/cuda/intrinsics.cuh"
#include "tests/cuda_emulation/emulation_test.h"
#include "tests/cuda_emulation/sanitizer.h"

namespace convoy::emulation {
namespace {

using Block = OnEmulatedDevice;

__global__ void write_positions_kernel(unsigned* out) {
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const unsigned at = block * blockDim.x * blockDim.y * blockDim.z + thread;
  out[at] = at;
}

TEST_F(Block, every_thread_of_every_block_runs_once_and_knows_its_place) {
  DeviceArray<unsigned> out(7 * 5 * 3 * 4 * 3 * 2);
  ASSERT_EQ(run({.blocks = dim3(7, 5, 3), .threads = dim3(4, 3, 2)}, write_positions_kernel, out.data()), cudaSuccess);
  std::vector<unsigned> expected(7 * 5 * 3 * 4 * 3 * 2);
  std::iota(expected.begin(), expected.end(), 0u);
  EXPECT_EQ(out.values(), expected);
}

// The order in which blocks come, or the warps of a block, or the lanes of a warp.
__global__ void take_number_kernel(unsigned* next, unsigned* number) {
  const unsigned place = gridDim.x > 1 ? blockIdx.x : blockDim.x > 32 ? threadIdx.x / 32 : threadIdx.x;
  if (threadIdx.x % 32 == 0 || blockDim.x == 32) number[place] = atomicAdd(next, 1u);
}

TEST_F(Block, blocks_warps_and_lanes_come_in_an_order_drawn_from_the_seed) {
  for (const auto& [blocks, threads] : {std::pair(30u, 1u), std::pair(1u, 30u * 32u), std::pair(1u, 32u)}) {
    const unsigned count = threads == 32 ? 32 : 30;
    const auto order = [&](uint64_t seed) {
      const DeviceArray<unsigned> next(std::vector<unsigned>{0}), number(count);
      set_seed(seed);
      EXPECT_EQ(run({.blocks = blocks, .threads = threads}, take_number_kernel, next.data(), number.data()),
                cudaSuccess);
      return number.values();
    };
    const std::vector<unsigned> first = order(1);
    std::vector<unsigned> in_order(count);
    std::iota(in_order.begin(), in_order.end(), 0u);
    EXPECT_TRUE(std::is_permutation(first.begin(), first.end(), in_order.begin()));
    EXPECT_NE(first, in_order);
    EXPECT_EQ(order(1), first);
    EXPECT_NE(order(2), first);
  }
}

// Sums of a tree in shared memory; `Barriers` false leaves out the barrier of each level.
template <bool Barriers>
__global__ void tree_sum_kernel(const float* in, float* out) {
  float* const shared = cuda::dynamic_shared<float>();
  const unsigned t = threadIdx.x;
  shared[t] = in[blockIdx.x * blockDim.x + t];
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    if constexpr (Barriers) __syncthreads();
    if (t < half) shared[t] += shared[t + half];
  }
  if (t == 0) out[blockIdx.x] = shared[0];
}

std::vector<float> tree_sums(void (*kernel)(const float*, float*), unsigned threads, uint64_t seed) {
  std::vector<float> values(8 * threads);
  std::iota(values.begin(), values.end(), 1.0f);
  const DeviceArray<float> in(values), out(8);
  set_seed(seed);
  EXPECT_EQ(
      run({.blocks = 8, .threads = threads, .shared_bytes = threads * sizeof(float)}, kernel, in.data(), out.data()),
      cudaSuccess);
  return out.values();
}

TEST_F(Block, a_tree_of_barriers_sums_under_every_order) {
  for (const unsigned threads : {1u, 2u, 32u, 64u, 256u, 1024u}) {
    for (uint64_t seed = 0; seed < 5; ++seed) {
      const std::vector<float> sums = tree_sums(tree_sum_kernel<true>, threads, seed);
      for (unsigned b = 0; b < 8; ++b)
        EXPECT_EQ(sums[b], static_cast<float>(threads) * (static_cast<float>(b * threads) + (threads + 1) / 2.0f));
    }
  }
}

// Each of the blocks has an order of its own, so already one launch shows it.
TEST_F(Block, a_missing_barrier_gives_wrong_sums) {
  for (const unsigned threads : {32u, 64u, 256u}) {
    const std::vector<float> right = tree_sums(tree_sum_kernel<true>, threads, 1);
    for (uint64_t seed = 0; seed < 5; ++seed) EXPECT_NE(tree_sums(tree_sum_kernel<false>, threads, seed), right);
  }
}

// Every thread reads what its neighbour wrote in the step before; without the second barrier a fast neighbour has
// written the next step's already.
template <bool SecondBarrier>
__global__ void rotate_kernel(int steps, unsigned* out) {
  unsigned* const shared = cuda::dynamic_shared<unsigned>();
  unsigned mine = threadIdx.x;
  for (int i = 0; i < steps; ++i) {
    shared[threadIdx.x] = mine;
    __syncthreads();
    mine = shared[(threadIdx.x + 1) % blockDim.x];
    if constexpr (SecondBarrier) __syncthreads();
  }
  out[threadIdx.x] = mine;
}

TEST_F(Block, a_missing_barrier_before_overwriting_gives_wrong_values) {
  constexpr unsigned kThreads = 96;
  std::vector<unsigned> expected(kThreads);
  for (unsigned i = 0; i < kThreads; ++i) expected[i] = (i + 10) % kThreads;
  const DeviceArray<unsigned> out(kThreads);
  const Shape shape{.threads = kThreads, .shared_bytes = kThreads * sizeof(unsigned)};
  for (uint64_t seed = 0; seed < 5; ++seed) {
    set_seed(seed);
    ASSERT_EQ(run(shape, rotate_kernel<true>, 10, out.data()), cudaSuccess);
    EXPECT_EQ(out.values(), expected);
    ASSERT_EQ(run(shape, rotate_kernel<false>, 10, out.data()), cudaSuccess);
    EXPECT_NE(out.values(), expected);
  }
}

__global__ void divergent_kernel() {
  if (threadIdx.x < 40) {
    __syncthreads();
  } else {
    __syncwarp(0xFFFFFFFFu);
  }
}

TEST_F(Block, a_barrier_that_half_a_warp_leaves_out_is_reported) {
  EXPECT_EQ(run({.blocks = 3, .threads = 64}, divergent_kernel), cudaErrorLaunchFailure);
  EXPECT_TRUE(failure().find("divergent_kernel(), block (") != std::string::npos) << failure();
  EXPECT_TRUE(failure().find("threads 0-39 wait at __syncthreads (test_block.cpp:") != std::string::npos) << failure();
  EXPECT_TRUE(failure().find("threads 40-63 wait at __syncwarp of lanes 0xffffffff") != std::string::npos) << failure();
}

__global__ void two_barriers_kernel() {
  if (threadIdx.x % 2 == 0) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

TEST_F(Block, threads_at_different_barriers_are_reported) {
  EXPECT_EQ(run({.threads = 4}, two_barriers_kernel), cudaErrorLaunchFailure);
  EXPECT_TRUE(failure().find("threads meet at different barriers\n  threads 0, 2 wait at") != std::string::npos)
      << failure();
}

__global__ void early_exit_kernel(unsigned count) {
  if (threadIdx.x >= count) return;
  __syncthreads();
}

TEST_F(Block, a_barrier_after_some_threads_have_exited_is_reported) {
  EXPECT_EQ(run({.threads = 64}, early_exit_kernel, 64), cudaSuccess);
  EXPECT_EQ(run({.threads = 64}, early_exit_kernel, 50), cudaErrorLaunchFailure);
  EXPECT_TRUE(failure().find("threads 50-63 have exited") != std::string::npos) << failure();
}

TEST_F(Block, a_failure_stays_until_the_device_is_reset) {
  const DeviceArray<unsigned> out(32);
  EXPECT_EQ(run({.threads = 64}, early_exit_kernel, 50), cudaErrorLaunchFailure);
  EXPECT_EQ(run({}, write_positions_kernel, out.data()), cudaErrorLaunchFailure);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorLaunchFailure);
  EXPECT_EQ(cudaDeviceReset(), cudaSuccess);
  EXPECT_EQ(failure(), "");
  const DeviceArray<unsigned> again(32);
  EXPECT_EQ(run({}, write_positions_kernel, again.data()), cudaSuccess);
  EXPECT_EQ(again.values()[31], 31u);
}

// A sum that forgets to begin at zero.
__global__ void uninitialised_sum_kernel(float* out) {
  float* const sum = cuda::dynamic_shared<float>();
  if (threadIdx.x == 0) *sum += 1.0f;
  __syncthreads();
  out[blockIdx.x] = *sum;
  __syncthreads();
  *sum = 0.0f;  // what the next block must not find
}

TEST_F(Block, shared_memory_starts_as_nan_in_every_block) {
  const DeviceArray<float> out(20);
  ASSERT_EQ(run({.blocks = 20, .shared_bytes = 4}, uninitialised_sum_kernel, out.data()), cudaSuccess);
  for (const float value : out.values()) EXPECT_TRUE(std::isnan(value));
}

// Writes `count` floats from shared memory's element `first` on.
__global__ void fill_shared_kernel(int first, int count) {
  float* const shared = cuda::dynamic_shared<float>();
  for (int i = first; i < first + count; ++i) shared[i] = 0.5f;
}

TEST_F(Block, a_store_beside_shared_memory_is_reported) {
  const auto store = [](int first, int count) {
    return run({.threads = 1, .shared_bytes = 40}, fill_shared_kernel, first, count);
  };
  EXPECT_EQ(store(0, 10), cudaSuccess);
  if (kAddressSanitizer) {
    EXPECT_DEATH(store(0, 11), "use-after-poison");
    EXPECT_DEATH(store(-1, 1), "use-after-poison");
    return;
  }
  EXPECT_EQ(store(0, 11), cudaErrorLaunchFailure);
  EXPECT_TRUE(failure().find("fill_shared_kernel(int, int), block (0,0,0): wrote outside its 40 bytes") !=
              std::string::npos)
      << failure();
  cudaDeviceReset();
  EXPECT_EQ(store(-1, 1), cudaErrorLaunchFailure);
  cudaDeviceReset();
  EXPECT_EQ(store(0, 10), cudaSuccess);
}

}  // namespace
}  // namespace convoy::emulation
