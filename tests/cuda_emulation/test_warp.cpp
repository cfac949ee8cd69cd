// Functions of a warp: shuffles, votes, and the mistakes one can make with them.
#include <cmath>

#include "tests/cuda_emulation/emulation_test.h"

namespace convoy::emulation {
namespace {

using Warp = OnEmulatedDevice;

constexpr unsigned kAll = 0xFFFFFFFFu;

template <class Body>
__global__ void lanes_kernel(Body body, int* out) {
  out[threadIdx.x] = body(static_cast<int>(threadIdx.x));
}

// What body(thread) returns in each of so many threads.
template <class Body>
std::vector<int> on_threads(unsigned threads, Body body) {
  const DeviceArray<int> out(threads);
  EXPECT_EQ(run({.threads = threads}, lanes_kernel<Body>, body, out.data()), cudaSuccess) << failure();
  return out.values();
}

template <class Body>
std::vector<int> expected(unsigned threads, Body body) {
  std::vector<int> values;
  for (unsigned i = 0; i < threads; ++i) values.push_back(body(static_cast<int>(i)));
  return values;
}

TEST_F(Warp, shuffles_follow_their_formulas_within_segments) {
  for (uint64_t seed = 0; seed < 4; ++seed) {
    set_seed(seed);
    EXPECT_EQ(on_threads(96, [](int i) { return __shfl_sync(kAll, i, 5); }),
              expected(96, [](int i) { return i / 32 * 32 + 5; }));
    EXPECT_EQ(on_threads(64, [](int i) { return __shfl_sync(kAll, i, 5, 4); }),
              expected(64, [](int i) { return i / 4 * 4 + 1; }));
    EXPECT_EQ(on_threads(64, [](int i) { return __shfl_xor_sync(kAll, i, 19); }),
              expected(64, [](int i) { return i ^ 19; }));
    EXPECT_EQ(on_threads(64, [](int i) { return __shfl_down_sync(kAll, i, 3, 8); }),
              expected(64, [](int i) { return i % 8 + 3 < 8 ? i + 3 : i; }));
    EXPECT_EQ(on_threads(64, [](int i) { return __shfl_up_sync(kAll, i, 3, 8); }),
              expected(64, [](int i) { return i % 8 >= 3 ? i - 3 : i; }));
  }
}

TEST_F(Warp, shuffles_one_after_the_other_do_not_mix) {
  const auto sum = [](int i) {
    for (int apart = 16; apart > 0; apart /= 2) i += __shfl_xor_sync(kAll, i, apart);
    return i;
  };
  for (uint64_t seed = 0; seed < 20; ++seed) {
    set_seed(seed);
    EXPECT_EQ(on_threads(64, sum), expected(64, [](int i) { return i < 32 ? 496 : 496 + 1024; }));
  }
}

TEST_F(Warp, two_halves_with_masks_of_their_own_go_their_own_ways) {
  const auto half = [](int i) {
    const unsigned mask = i % 32 < 16 ? 0xFFFFu : 0xFFFF0000u;
    for (int n = 0; n < i % 32 / 16 + 1; ++n) i = __shfl_xor_sync(mask, i, 1);
    return i;
  };
  EXPECT_EQ(on_threads(32, half), expected(32, [](int i) { return i < 16 ? i ^ 1 : i; }));
}

TEST_F(Warp, votes_count_the_lanes_of_the_mask) {
  EXPECT_EQ(on_threads(40, [](int i) { return static_cast<int>(__ballot_sync(kAll, i % 3 == 0)); }),
            expected(40, [](int i) { return i < 32 ? 0x49249249 : 0x92; }));
  EXPECT_EQ(on_threads(64, [](int i) { return __any_sync(kAll, i == 40) + 2 * __all_sync(kAll, i < 32); }),
            expected(64, [](int i) { return i < 32 ? 2 : 1; }));
}

__global__ void exit_and_shuffle_kernel(float* out) {
  if (threadIdx.x >= 20) return;
  const float source = static_cast<float>(threadIdx.x);
  out[threadIdx.x] = __shfl_down_sync(kAll, source, 8);
}

TEST_F(Warp, a_lane_that_has_exited_gives_nan) {
  for (uint64_t seed = 0; seed < 4; ++seed) {
    set_seed(seed);
    const DeviceArray<float> out(20);
    ASSERT_EQ(run({}, exit_and_shuffle_kernel, out.data()), cudaSuccess);
    const std::vector<float> values = out.values();
    for (unsigned i = 0; i < 12; ++i) EXPECT_EQ(values[i], static_cast<float>(i + 8));
    for (unsigned i = 12; i < 20; ++i) EXPECT_TRUE(std::isnan(values[i])) << i;
  }
}

__global__ void wrong_mask_kernel() {
  if (threadIdx.x < 8) __shfl_sync(0xF0u, 1, 0);
}

TEST_F(Warp, a_mask_without_the_caller_is_reported) {
  EXPECT_EQ(run({}, wrong_mask_kernel), cudaErrorLaunchFailure);
  EXPECT_TRUE(failure().find("__shfl_sync has a mask that leaves its caller out (test_warp.cpp:") != std::string::npos)
      << failure();
}

__global__ void half_shuffle_kernel() {
  if (threadIdx.x % 2 == 0) __shfl_sync(kAll, 1, 0);
  __syncthreads();
}

TEST_F(Warp, a_shuffle_that_lanes_of_its_mask_leave_out_is_reported) {
  EXPECT_EQ(run({}, half_shuffle_kernel), cudaErrorLaunchFailure);
  EXPECT_TRUE(failure().find("wait at __shfl_sync of lanes 0xffffffff") != std::string::npos) << failure();
}

__global__ void unequal_masks_kernel() { __shfl_sync(threadIdx.x == 0 ? 3u : 7u, 1, 0); }

TEST_F(Warp, lanes_with_unequal_masks_are_reported) {
  EXPECT_EQ(run({.threads = 3}, unequal_masks_kernel), cudaErrorLaunchFailure);
  EXPECT_TRUE(failure().find("threads 0 wait at __shfl_sync of lanes 0x00000003") != std::string::npos) << failure();
}

// Lane 0 tells the others through shared memory.
template <bool Barrier>
__global__ void tell_kernel(int* out) {
  int* const told = reinterpret_cast<int*>(shared_memory_begin);
  if (threadIdx.x == 0) *told = 7;
  if constexpr (Barrier) __syncwarp();
  out[threadIdx.x] = *told;
}

TEST_F(Warp, a_missing_syncwarp_shows) {
  const DeviceArray<int> out(32);
  for (uint64_t seed = 0; seed < 4; ++seed) {
    set_seed(seed);
    ASSERT_EQ(run({.shared_bytes = 4}, tell_kernel<true>, out.data()), cudaSuccess);
    EXPECT_EQ(out.values(), std::vector<int>(32, 7));
  }
  int wrong = 0;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    set_seed(seed);
    ASSERT_EQ(run({.shared_bytes = 4}, tell_kernel<false>, out.data()), cudaSuccess);
    wrong += out.values() != std::vector<int>(32, 7);
  }
  EXPECT_GE(wrong, 3);
}

__global__ void count_kernel(int* count, unsigned* ticket) {
  atomicAdd(count, 2);
  ticket[atomicAdd(ticket, 1u) + 1] = 1;
}

TEST_F(Warp, atomic_additions_return_what_was_there) {
  const DeviceArray<int> count(std::vector<int>{0});
  const DeviceArray<unsigned> ticket(std::vector<unsigned>(129, 0));
  ASSERT_EQ(run({.blocks = 2, .threads = 64}, count_kernel, count.data(), ticket.data()), cudaSuccess);
  EXPECT_EQ(count.values()[0], 256);
  std::vector<unsigned> expected_tickets(129, 1);
  expected_tickets[0] = 128;
  EXPECT_EQ(ticket.values(), expected_tickets);
}

}  // namespace
}  // namespace convoy::emulation
