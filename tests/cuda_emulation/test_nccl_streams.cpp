// The emulated NCCL among other work: what its operations wait for, what waits for them, and what goes on meanwhile.
#include <atomic>
#include <barrier>
#include <cmath>

#include "tests/cuda_emulation/nccl/nccl_test.h"

namespace convoy::emulation {
namespace {

using NcclStreams = OnRanks;

constexpr size_t kCount = 32;

__global__ void add_one_kernel(float* x) { x[threadIdx.x] += 1; }
__global__ void copy_kernel(const float* from, float* to) { to[threadIdx.x] = from[threadIdx.x]; }

ncclResult_t sum(const Rank& me, float* x, cudaStream_t stream) {
  return ncclAllReduce(x, x, kCount, ncclFloat, ncclSum, me.comm, stream);
}

TEST_F(NcclStreams, an_operation_keeps_the_order_of_its_stream) {
  on_ranks(2, [](Rank& me) {
    const DeviceArray<float> x(std::vector<float>(kCount, 1.0f)), y(kCount);
    start({.stream = me.stream}, add_one_kernel, x.data());
    EXPECT_EQ(sum(me, x.data(), me.stream), ncclSuccess);
    start({.stream = me.stream}, add_one_kernel, x.data());
    EXPECT_EQ(sum(me, x.data(), me.stream), ncclSuccess);
    start({.stream = me.stream}, copy_kernel, x.data(), y.data());
    start({.stream = me.stream}, add_one_kernel, x.data());
    EXPECT_EQ(y.values(me.stream), std::vector<float>(kCount, 10.0f));
    EXPECT_EQ(x.values(me.stream), std::vector<float>(kCount, 11.0f));
  });
}

// How many of ten runs are right where one stream computes, another sums, and the first goes on with the sum.
int right_of_ten(bool before, bool after) {
  std::atomic<int> right = 0;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    set_seed(seed);
    on_ranks(2, [&](Rank& me) {
      const cudaStream_t compute = new_stream();
      cudaEvent_t computed, summed;
      cudaEventCreateWithFlags(&computed, cudaEventDisableTiming);
      cudaEventCreateWithFlags(&summed, cudaEventDisableTiming);
      const DeviceArray<float> x(std::vector<float>(kCount, 1.0f)), y(kCount);
      start({.stream = compute}, add_one_kernel, x.data());
      cudaEventRecord(computed, compute);
      if (before) cudaStreamWaitEvent(me.stream, computed);
      EXPECT_EQ(sum(me, x.data(), me.stream), ncclSuccess);
      cudaEventRecord(summed, me.stream);
      if (after) cudaStreamWaitEvent(compute, summed);
      start({.stream = compute}, copy_kernel, x.data(), y.data());
      if (y.values(compute) == std::vector<float>(kCount, 4.0f) && me.rank == 0) ++right;
      EXPECT_EQ(cudaStreamSynchronize(me.stream), cudaSuccess);
      cudaEventDestroy(computed);
      cudaEventDestroy(summed);
      cudaStreamDestroy(compute);
    });
  }
  return right;
}

TEST_F(NcclStreams, events_order_compute_and_sums) { EXPECT_EQ(right_of_ten(true, true), 10); }

TEST_F(NcclStreams, a_missing_event_before_a_sum_shows) { EXPECT_LE(right_of_ten(false, true), 8); }

TEST_F(NcclStreams, a_missing_event_after_a_sum_shows) { EXPECT_LE(right_of_ten(true, false), 8); }

TEST_F(NcclStreams, results_are_not_there_before_they_are_waited_for) {
  on_ranks(2, [](Rank& me) {
    const DeviceArray<float> in(std::vector<float>(kCount, 1.0f)), out(kCount);
    EXPECT_EQ(ncclAllReduce(in.data(), out.data(), kCount, ncclFloat, ncclSum, me.comm, me.stream), ncclSuccess);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_TRUE(std::isnan(out.data()[0]));
    EXPECT_EQ(cudaStreamSynchronize(me.stream), cudaSuccess);
    EXPECT_EQ(out.data()[0], 2.0f);
  });
}

// Rank 0 leaves its device alone, as while it waits for a message of rank 1.
TEST_F(NcclStreams, a_rank_does_its_part_while_its_host_waits_for_something_else) {
  std::barrier<> rank_1_is_done(2);
  on_ranks(2, [&](Rank& me) {
    const cudaStream_t compute = new_stream();
    cudaEvent_t computed;
    cudaEventCreateWithFlags(&computed, cudaEventDisableTiming);
    const DeviceArray<float> x(std::vector<float>(kCount, 1.0f));
    for (int i = 0; i < 3; ++i) {
      start({.stream = compute}, add_one_kernel, x.data());
      cudaEventRecord(computed, compute);
      cudaStreamWaitEvent(me.stream, computed);
      EXPECT_EQ(sum(me, x.data(), me.stream), ncclSuccess);
      cudaEventRecord(computed, me.stream);
      cudaStreamWaitEvent(compute, computed);
    }
    if (me.rank == 0) rank_1_is_done.arrive_and_wait();
    EXPECT_EQ(x.values(me.stream), std::vector<float>(kCount, 22.0f));
    if (me.rank == 1) rank_1_is_done.arrive_and_wait();
    cudaStreamDestroy(compute);
    cudaEventDestroy(computed);
  });
}

TEST_F(NcclStreams, a_device_does_other_work_while_a_stream_of_it_waits_for_another_rank) {
  std::barrier<> rank_0_has_worked(2);
  on_ranks(2, [&](Rank& me) {
    const DeviceArray<float> x(std::vector<float>(kCount, 1.0f)), y(std::vector<float>(kCount, 1.0f));
    if (me.rank == 1) rank_0_has_worked.arrive_and_wait();
    EXPECT_EQ(sum(me, x.data(), me.stream), ncclSuccess);
    std::thread waiting([&] { EXPECT_EQ(cudaStreamSynchronize(me.stream), cudaSuccess); });
    if (me.rank == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      const cudaStream_t other = new_stream();
      EXPECT_EQ(run({.stream = other}, add_one_kernel, y.data()), cudaSuccess);
      EXPECT_EQ(y.values(other), std::vector<float>(kCount, 2.0f));
      cudaStreamDestroy(other);
      rank_0_has_worked.arrive_and_wait();
    }
    waiting.join();
    EXPECT_EQ(x.values(me.stream), std::vector<float>(kCount, 2.0f));
  });
}

TEST_F(NcclStreams, polling_an_event_ends) {
  on_ranks(3, [](Rank& me) {
    const DeviceArray<float> x(std::vector<float>(kCount, 1.0f));
    EXPECT_EQ(sum(me, x.data(), me.stream), ncclSuccess);
    EXPECT_TRUE(goes_on(me.stream));
    EXPECT_EQ(x.data()[0], 3.0f);
  });
}

TEST_F(NcclStreams, two_communicators_work_side_by_side) {
  const ncclUniqueId second = new_id();
  on_ranks(2, [&](Rank& me) {
    Rank too = me;
    too.stream = new_stream();
    ASSERT_EQ(join(&too.comm, 2, second, 1 - me.rank), ncclSuccess);
    const DeviceArray<float> x(std::vector<float>(kCount, 1.0f)), y(std::vector<float>(kCount, 2.0f));
    for (int i = 0; i < 4; ++i) {
      // In another order on each rank, which two communicators may be used in as long as the device has room for both.
      const Rank &first = me.rank == 0 ? me : too, &last = me.rank == 0 ? too : me;
      for (const Rank* each : {&first, &last})
        EXPECT_EQ(sum(*each, each == &me ? x.data() : y.data(), each->stream), ncclSuccess);
    }
    EXPECT_EQ(x.values(me.stream)[3], 16.0f);
    EXPECT_EQ(y.values(too.stream)[3], 32.0f);
    EXPECT_EQ(ncclCommDestroy(too.comm), ncclSuccess);
    cudaStreamDestroy(too.stream);
  });
}

// --- communicators that do not block --------------------------------------------------------------------------------

TEST_F(NcclStreams, a_non_blocking_communicator_is_in_progress_for_a_while) {
  std::atomic<int> polls_to_join = 0, put_off = 0;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    set_seed(seed);
    const ncclUniqueId id = new_id();
    on_threads(2, [&](int rank) {
      Rank me{rank, 2, nullptr, new_stream()};
      int polls = 0;
      ASSERT_EQ(join(&me.comm, 2, id, rank, 0), ncclInProgress);
      const DeviceArray<float> x(std::vector<float>(kCount, 1.0f));
      EXPECT_EQ(sum(me, x.data(), me.stream), ncclInvalidUsage) << "it cannot have joined";
      EXPECT_EQ(settle(me.comm, &polls), ncclSuccess);
      EXPECT_GE(polls, 1);
      polls_to_join += polls;
      for (int i = 0; i < 4; ++i) {
        if (i == 2) ncclGroupStart();
        ncclResult_t result = sum(me, x.data(), me.stream);
        if (i == 2) {
          EXPECT_EQ(result, ncclSuccess);
          result = ncclGroupEnd();
        }
        if (result == ncclInProgress) {
          ++put_off;
          EXPECT_EQ(sum(me, x.data(), me.stream), ncclInvalidUsage);
          EXPECT_EQ(x.values(me.stream)[0], std::exp2f(static_cast<float>(i))) << "nothing is in the stream yet";
          EXPECT_EQ(settle(me.comm), ncclSuccess);
        } else {
          EXPECT_EQ(result, ncclSuccess);
        }
      }
      EXPECT_EQ(x.values(me.stream)[0], 16.0f);
      EXPECT_EQ(ncclCommFinalize(me.comm), ncclInProgress);
      EXPECT_EQ(settle(me.comm), ncclSuccess);
      EXPECT_EQ(ncclCommDestroy(me.comm), ncclSuccess);
      cudaStreamDestroy(me.stream);
    });
  }
  EXPECT_GT(polls_to_join, 20);
  EXPECT_GT(put_off, 10);
  EXPECT_LT(put_off, 54);
}

TEST_F(NcclStreams, finalizing_waits_for_what_is_under_way) {
  std::atomic<bool> rank_1_came = false;
  on_ranks(2, [&](Rank& me) {
    const DeviceArray<float> x(std::vector<float>(kCount, 1.0f));
    if (me.rank == 1) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      rank_1_came = true;
    }
    EXPECT_EQ(sum(me, x.data(), me.stream), ncclSuccess);
    EXPECT_EQ(ncclCommFinalize(me.comm), ncclSuccess);
    EXPECT_TRUE(rank_1_came);
    EXPECT_EQ(sum(me, x.data(), me.stream), ncclInvalidUsage);
    EXPECT_EQ(ncclCommDestroy(me.comm), ncclSuccess);
    me.comm = nullptr;
    EXPECT_EQ(x.values(me.stream)[0], 2.0f);
  });
}

}  // namespace
}  // namespace convoy::emulation
