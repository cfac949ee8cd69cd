// The emulated NCCL where ranks are missing, late or dead: the others hang until they abort, and so would they on GPUs.
#include <atomic>
#include <barrier>
#include <cmath>

#include "tests/cuda_emulation/nccl/nccl_test.h"

namespace convoy::emulation {
namespace {

using NcclMissing = OnRanks;

constexpr size_t kCount = 32;

TEST_F(NcclMissing, an_abort_lets_the_stream_go_on_with_undefined_results) {
  std::barrier<> rank_0_has_aborted(3);
  on_ranks(3, [&](Rank& me) {
    const DeviceArray<float> x(std::vector<float>(kCount, 1.0f)), y(std::vector<float>(kCount, 1.0f));
    if (me.rank == 2) {  // it never comes
      rank_0_has_aborted.arrive_and_wait();
      EXPECT_EQ(ncclCommAbort(me.comm), ncclSuccess);
      me.comm = nullptr;
      return;
    }
    EXPECT_EQ(ncclAllReduce(x.data(), x.data(), kCount, ncclFloat, ncclSum, me.comm, me.stream), ncclSuccess);
    EXPECT_EQ(cudaMemsetAsync(y.data(), 0, y.bytes(), me.stream), cudaSuccess);
    std::thread waiting([&] { EXPECT_EQ(cudaStreamSynchronize(me.stream), cudaSuccess); });
    EXPECT_TRUE(stands_still(me.stream));
    EXPECT_EQ(y.data()[0], 1.0f);
    if (me.rank == 1) {
      rank_0_has_aborted.arrive_and_wait();
      EXPECT_TRUE(stands_still(me.stream)) << "that another rank aborts is not told";
      ncclResult_t state = ncclInternalError;
      EXPECT_EQ(ncclCommGetAsyncError(me.comm, &state), ncclSuccess);
      EXPECT_EQ(state, ncclSuccess);
    }
    EXPECT_EQ(ncclCommAbort(me.comm), ncclSuccess);
    me.comm = nullptr;
    waiting.join();
    EXPECT_TRUE(std::isnan(x.values(me.stream)[0]));
    EXPECT_EQ(y.data()[0], 0.0f);
    if (me.rank == 0) rank_0_has_aborted.arrive_and_wait();
  });
}

TEST_F(NcclMissing, an_abort_ends_operations_that_stand_behind_another_communicators) {
  const ncclUniqueId second = new_id();
  on_ranks(2, [&](Rank& me) {
    Rank too = me;
    too.stream = new_stream();
    ASSERT_EQ(join(&too.comm, 2, second, me.rank), ncclSuccess);
    if (me.rank == 0) {
      const DeviceArray<float> x(std::vector<float>(kCount, 1.0f));
      cudaEvent_t event;
      cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
      EXPECT_EQ(ncclAllReduce(x.data(), x.data(), kCount, ncclFloat, ncclSum, too.comm, too.stream), ncclSuccess);
      cudaEventRecord(event, too.stream);
      cudaStreamWaitEvent(me.stream, event);
      EXPECT_EQ(ncclAllReduce(x.data(), x.data(), kCount, ncclFloat, ncclSum, me.comm, me.stream), ncclSuccess);
      EXPECT_TRUE(stands_still(me.stream));
      EXPECT_EQ(ncclCommAbort(me.comm), ncclSuccess);
      EXPECT_TRUE(stands_still(me.stream)) << "the event is not there yet";
      EXPECT_EQ(ncclCommAbort(too.comm), ncclSuccess);
      EXPECT_TRUE(goes_on(me.stream));
      cudaEventDestroy(event);
    } else {
      EXPECT_EQ(ncclCommAbort(too.comm), ncclSuccess);
      EXPECT_EQ(ncclCommAbort(me.comm), ncclSuccess);
    }
    me.comm = nullptr;
    cudaStreamDestroy(too.stream);
  });
}

TEST_F(NcclMissing, a_rank_waits_for_others_to_join_until_it_aborts) {
  ncclComm_t comm = nullptr;
  ASSERT_EQ(join(&comm, 2, new_id(), 0, 0), ncclInProgress);
  for (int i = 0; i < 50; ++i) {
    ncclResult_t state = ncclSuccess;
    EXPECT_EQ(ncclCommGetAsyncError(comm, &state), ncclSuccess);
    EXPECT_EQ(state, ncclInProgress);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(ncclCommAbort(comm), ncclSuccess);
}

TEST_F(NcclMissing, another_thread_aborts_a_rank_that_is_blocked_in_joining) {
  std::atomic<ncclComm_t> comm = nullptr;
  const ncclUniqueId id = new_id();
  ncclComm_t handle = nullptr;
  // Only its caller knows the handle early enough, so that it comes out of a group here.
  ASSERT_EQ(ncclGroupStart(), ncclSuccess);
  ASSERT_EQ(join(&handle, 2, id, 0), ncclSuccess);
  comm = handle;
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(ncclCommAbort(comm), ncclSuccess);
  });
  EXPECT_EQ(ncclGroupEnd(), ncclInvalidUsage);
  other.join();
}

TEST_F(NcclMissing, ranks_that_both_send_first_without_a_group_hang) {
  std::barrier<> both(2);
  on_ranks(2, [&](Rank& me) {
    const DeviceArray<float> x(std::vector<float>(kCount, 1.0f)), y(kCount);
    const cudaStream_t other = new_stream();
    EXPECT_EQ(ncclSend(x.data(), 1, ncclFloat, 1 - me.rank, me.comm, me.stream), ncclSuccess);
    // In another stream, but of the same communicator: it comes after.
    EXPECT_EQ(ncclRecv(y.data(), 1, ncclFloat, 1 - me.rank, me.comm, other), ncclSuccess);
    EXPECT_TRUE(stands_still(me.stream));
    EXPECT_TRUE(stands_still(other));
    both.arrive_and_wait();
    EXPECT_EQ(ncclCommAbort(me.comm), ncclSuccess);
    me.comm = nullptr;
    EXPECT_TRUE(goes_on(me.stream));
    EXPECT_TRUE(goes_on(other));
    cudaStreamDestroy(other);
  });
}

TEST_F(NcclMissing, what_was_asked_for_before_leaving_is_done) {
  on_ranks(2, [](Rank& me) {
    const DeviceArray<float> x(std::vector<float>(kCount, 1.0f));
    if (me.rank == 1) std::this_thread::sleep_for(std::chrono::milliseconds(30));
    EXPECT_EQ(ncclAllReduce(x.data(), x.data(), kCount, ncclFloat, ncclSum, me.comm, me.stream), ncclSuccess);
    EXPECT_EQ(ncclCommDestroy(me.comm), ncclSuccess);
    me.comm = nullptr;
    EXPECT_EQ(x.values(me.stream)[0], 2.0f);
  });
}

// A reset of the device takes its operations with it; the others hang.
TEST_F(NcclMissing, a_reset_device_forgets_its_operations) {
  std::barrier<> both(2);
  on_ranks(2, [&](Rank& me) {
    const DeviceArray<float> x(std::vector<float>(kCount, 1.0f));
    const cudaStream_t blocked = new_stream();
    ncclComm_t never = nullptr;  // whose operation stands before the other's
    const DeviceArray<float> y(kCount);
    ASSERT_EQ(join(&never, 1, new_id(), 0), ncclSuccess);
    EXPECT_EQ(ncclRecv(y.data(), 1, ncclFloat, 0, never, me.stream), ncclSuccess);
    EXPECT_EQ(ncclAllReduce(x.data(), x.data(), kCount, ncclFloat, ncclSum, me.comm, me.stream), ncclSuccess);
    EXPECT_TRUE(stands_still(me.stream));
    std::thread waiting([&] { EXPECT_EQ(cudaStreamSynchronize(me.stream), cudaSuccess); });
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_EQ(cudaDeviceReset(), cudaSuccess);
    waiting.join();
    EXPECT_TRUE(goes_on(me.stream));
    both.arrive_and_wait();
    for (const ncclComm_t each : {never, me.comm}) EXPECT_EQ(ncclCommAbort(each), ncclSuccess);
    me.comm = nullptr;
    cudaStreamDestroy(blocked);
  });
}

}  // namespace
}  // namespace convoy::emulation
