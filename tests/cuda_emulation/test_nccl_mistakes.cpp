// Every mistake that the emulated NCCL has to catch, planted; and what ranks do about others that are missing.
#include <barrier>
#include <cmath>

#include "tests/cuda_emulation/nccl/nccl_test.h"

namespace convoy::emulation {
namespace {

using NcclMistakes = OnRanks;

bool says(const char* text, const std::string& words) { return std::string(text).find(words) != std::string::npos; }

// --- ranks that do not fit together ---------------------------------------------------------------------------------

// The two ranks make different calls; the one that is refused is named by `words`.
void expect_refused(const std::function<ncclResult_t(Rank&, float*)>& call, const std::string& words) {
  std::barrier<> both(2);
  on_ranks(2, [&](Rank& me) {
    const DeviceArray<float> x(std::vector<float>(16, 1.0f));
    EXPECT_EQ(call(me, x.data()), ncclSuccess) << "it cannot know of the other rank's";
    EXPECT_EQ(cudaStreamSynchronize(me.stream), cudaErrorLaunchFailure);
    EXPECT_TRUE(says(failure().c_str(), words)) << failure();
    ncclResult_t state = ncclSuccess;
    EXPECT_EQ(ncclCommGetAsyncError(me.comm, &state), ncclSuccess);
    EXPECT_EQ(state, ncclInvalidUsage);
    EXPECT_TRUE(says(ncclGetLastError(me.comm), words)) << ncclGetLastError(me.comm);
    EXPECT_EQ(call(me, x.data()), ncclInvalidUsage) << "the communicator has failed";
    EXPECT_EQ(ncclCommAbort(me.comm), ncclSuccess);
    me.comm = nullptr;
    both.arrive_and_wait();
    cudaDeviceReset();
  });
}

TEST_F(NcclMistakes, another_length) {
  expect_refused(
      [](Rank& me, float* x) {
        return ncclAllReduce(x, x, me.rank == 0 ? 5 : 6, ncclFloat, ncclSum, me.comm, me.stream);
      },
      "all_reduce of 5 float32 (sum)");
}

TEST_F(NcclMistakes, another_type) {
  expect_refused(
      [](Rank& me, float* x) {
        return ncclAllReduce(x, x, 4, me.rank == 0 ? ncclFloat : ncclInt32, ncclSum, me.comm, me.stream);
      },
      "all_reduce of 4 int32 (sum)");
}

TEST_F(NcclMistakes, another_reduction) {
  expect_refused(
      [](Rank& me, float* x) {
        return ncclAllReduce(x, x, 4, ncclFloat, me.rank == 0 ? ncclMax : ncclSum, me.comm, me.stream);
      },
      "all_reduce of 4 float32 (max)");
}

TEST_F(NcclMistakes, another_root) {
  expect_refused([](Rank& me, float* x) { return ncclBroadcast(x, x, 4, ncclFloat, me.rank, me.comm, me.stream); },
                 "broadcast of 4 float32 from rank 1");
}

TEST_F(NcclMistakes, another_kind_of_collective) {
  expect_refused(
      [](Rank& me, float* x) {
        return me.rank == 0 ? ncclBroadcast(x, x, 4, ncclFloat, 0, me.comm, me.stream)
                            : ncclAllReduce(x, x, 4, ncclFloat, ncclSum, me.comm, me.stream);
      },
      "broadcast of 4 float32 from rank 0");
}

TEST_F(NcclMistakes, the_collectives_of_a_group_in_another_order) {
  expect_refused(
      [](Rank& me, float* x) {
        EXPECT_EQ(ncclGroupStart(), ncclSuccess);
        for (const int i : {0, 1}) {
          const size_t count = i == me.rank ? 3 : 8;
          if (ncclAllReduce(x, x, count, ncclFloat, ncclSum, me.comm, me.stream) != ncclSuccess) break;
        }
        return ncclGroupEnd();
      },
      "collective 0");
}

TEST_F(NcclMistakes, more_sent_than_wanted) {
  expect_refused(
      [](Rank& me, float* x) {
        return me.rank == 0 ? ncclSend(x, 4, ncclFloat, 1, me.comm, me.stream)
                            : ncclRecv(x, 3, ncclFloat, 0, me.comm, me.stream);
      },
      "rank 0 calls send of 4 float32 to rank 1, which calls receive of 3 float32");
}

void expect_not_joined(int ranks_of_rank_1, int rank_1, int device_of_rank_1) {
  const ncclUniqueId id = new_id();
  on_threads(2, [&](int i) {
    if (i == 1) cudaSetDevice(device_of_rank_1);
    ncclComm_t comm = nullptr;
    EXPECT_EQ(join(&comm, i == 0 ? 2 : ranks_of_rank_1, id, i == 0 ? 0 : rank_1), ncclInvalidUsage);
    EXPECT_STRNE(ncclGetLastError(comm), "");
    EXPECT_EQ(ncclCommAbort(comm), ncclSuccess);
  });
}

TEST_F(NcclMistakes, two_ranks_on_one_device) { expect_not_joined(2, 1, 0); }

TEST_F(NcclMistakes, two_ranks_of_the_same_number) { expect_not_joined(2, 0, 1); }

TEST_F(NcclMistakes, ranks_that_disagree_how_many_they_are) { expect_not_joined(3, 1, 1); }

// --- calls that are wrong by themselves -----------------------------------------------------------------------------

class NcclCalls : public OnRanks {
 protected:
  void SetUp() override {
    OnRanks::SetUp();
    stream_ = new_stream();
    ASSERT_EQ(join(&comm_, 1, new_id(), 0), ncclSuccess);
  }
  void TearDown() override {
    if (comm_ != nullptr) ncclCommDestroy(comm_);
    cudaStreamDestroy(stream_);
    OnRanks::TearDown();
  }
  ncclResult_t sum(const void* in, void* out, size_t count, ncclDataType_t type = ncclFloat,
                   ncclRedOp_t reduction = ncclSum) {
    return ncclAllReduce(in, out, count, type, reduction, comm_, stream_);
  }
  void expect_said(const std::string& words) {
    EXPECT_TRUE(says(ncclGetLastError(comm_), words)) << ncclGetLastError(comm_);
  }

  cudaStream_t stream_ = nullptr;
  ncclComm_t comm_ = nullptr;
};

TEST_F(NcclCalls, memory_of_the_host) {
  const DeviceArray<float> x(std::vector<float>(4, 1.0f));
  float host[4] = {};
  void* pinned = nullptr;
  ASSERT_EQ(cudaMallocHost(&pinned, 16), cudaSuccess);
  EXPECT_EQ(sum(host, x.data(), 4), ncclInvalidArgument);
  expect_said("in is not in device memory");
  EXPECT_EQ(sum(x.data(), pinned, 4), ncclInvalidArgument);
  expect_said("out is not in device memory");
  EXPECT_EQ(sum(nullptr, x.data(), 4), ncclInvalidArgument);
  EXPECT_EQ(ncclBroadcast(x.data(), host, 4, ncclFloat, 0, comm_, stream_), ncclInvalidArgument);
  EXPECT_EQ(sum(x.data(), x.data(), 4), ncclSuccess);
  EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
}

TEST_F(NcclCalls, a_buffer_that_is_too_small) {
  const DeviceArray<float> x(std::vector<float>(4, 1.0f)), y(5);
  EXPECT_EQ(sum(x.data(), y.data(), 5), ncclInvalidArgument);
  expect_said("in has less than 20 bytes");
  EXPECT_EQ(sum(y.data(), x.data() + 3, 2), ncclInvalidArgument);
  EXPECT_EQ(ncclSend(x.data(), 3, ncclDouble, 0, comm_, stream_), ncclInvalidArgument);
  EXPECT_EQ(sum(x.data(), y.data() + 1, 4), ncclSuccess);
}

TEST_F(NcclCalls, buffers_that_overlap) {
  const DeviceArray<float> x(std::vector<float>(8, 1.0f));
  EXPECT_EQ(sum(x.data(), x.data() + 3, 4), ncclInvalidArgument);
  EXPECT_EQ(sum(x.data(), x.data() + 4, 4), ncclSuccess);
  EXPECT_EQ(sum(x.data(), x.data(), 4), ncclSuccess);
}

TEST_F(NcclCalls, a_buffer_or_a_stream_of_another_device) {
  ASSERT_EQ(cudaSetDevice(1), cudaSuccess);
  const DeviceArray<float> there(std::vector<float>(4, 1.0f));
  const cudaStream_t stream = new_stream();
  ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
  const DeviceArray<float> here(std::vector<float>(4, 1.0f));
  EXPECT_EQ(sum(there.data(), here.data(), 4), ncclInvalidArgument);
  expect_said("in is on device 1, the communicator on device 0");
  EXPECT_EQ(sum(here.data(), there.data(), 4), ncclInvalidArgument);
  EXPECT_EQ(ncclAllReduce(here.data(), here.data(), 4, ncclFloat, ncclSum, comm_, stream), ncclInvalidArgument);
  expect_said("the stream is on device 1");
  cudaStreamDestroy(stream);
}

TEST_F(NcclCalls, a_stream_that_records) {
  const DeviceArray<float> x(std::vector<float>(4, 1.0f));
  ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed), cudaSuccess);
  EXPECT_EQ(sum(x.data(), x.data(), 4), ncclInvalidUsage);
  cudaGraph_t graph = nullptr;
  ASSERT_EQ(cudaStreamEndCapture(stream_, &graph), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
}

TEST_F(NcclCalls, types_reductions_and_ranks_that_are_not_there) {
  const DeviceArray<float> x(std::vector<float>(4, 1.0f));
  EXPECT_EQ(sum(x.data(), x.data(), 4, ncclNumTypes), ncclInvalidArgument);
  EXPECT_EQ(sum(x.data(), x.data(), 4, ncclFloat, ncclNumOps), ncclInvalidArgument);
  EXPECT_EQ(sum(x.data(), x.data(), 4, ncclHalf), ncclInvalidArgument);
  EXPECT_EQ(ncclBroadcast(x.data(), x.data(), 4, ncclHalf, 0, comm_, stream_), ncclSuccess);
  EXPECT_EQ(ncclBroadcast(x.data(), x.data(), 4, ncclFloat, 1, comm_, stream_), ncclInvalidArgument);
  EXPECT_EQ(ncclSend(x.data(), 4, ncclFloat, -1, comm_, stream_), ncclInvalidArgument);
}

TEST_F(NcclCalls, a_wrong_call_spoils_its_group) {
  const DeviceArray<float> x(std::vector<float>(4, 1.0f)), y(4);
  ASSERT_EQ(ncclGroupStart(), ncclSuccess);
  EXPECT_EQ(sum(x.data(), y.data(), 4), ncclSuccess);
  EXPECT_EQ(sum(x.data(), y.data(), 5), ncclInvalidArgument);
  EXPECT_EQ(ncclGroupEnd(), ncclInvalidArgument);
  EXPECT_TRUE(std::isnan(y.values(stream_)[0]));
  EXPECT_EQ(ncclGroupEnd(), ncclInvalidUsage) << "there is none";
  EXPECT_EQ(sum(x.data(), y.data(), 4), ncclSuccess);
  EXPECT_EQ(y.values(stream_)[0], 1.0f);
}

TEST_F(NcclCalls, calls_after_the_end) {
  const DeviceArray<float> x(std::vector<float>(4, 1.0f));
  const ncclComm_t gone = std::exchange(comm_, nullptr);
  EXPECT_EQ(ncclCommAbort(gone), ncclSuccess);
  EXPECT_EQ(ncclAllReduce(x.data(), x.data(), 4, ncclFloat, ncclSum, gone, stream_), ncclInvalidArgument);
  ncclResult_t state;
  int number;
  EXPECT_EQ(ncclCommGetAsyncError(gone, &state), ncclInvalidArgument);
  EXPECT_EQ(ncclCommCount(gone, &number), ncclInvalidArgument);
  EXPECT_EQ(ncclCommFinalize(gone), ncclInvalidArgument);
  EXPECT_EQ(ncclCommDestroy(gone), ncclInvalidArgument);
  EXPECT_EQ(ncclCommAbort(gone), ncclInvalidArgument);
}

TEST_F(NcclCalls, arguments_of_joining) {
  const ncclUniqueId id = new_id();
  ncclComm_t comm = nullptr;
  EXPECT_EQ(join(&comm, 2, id, 2), ncclInvalidArgument);
  EXPECT_EQ(join(&comm, 0, id, 0), ncclInvalidArgument);
  EXPECT_EQ(join(&comm, 2, ncclUniqueId{}, 0), ncclInvalidArgument);
  ncclConfig_t zero = {};
  EXPECT_EQ(ncclCommInitRankConfig(&comm, 1, id, 0, &zero), ncclInvalidArgument);
  EXPECT_EQ(join(&comm, 1, id, 0, 7), ncclInvalidArgument);
  EXPECT_EQ(comm, nullptr);
}

// --- a device that fails ------------------------------------------------------------------------------------------

TEST_F(NcclCalls, a_failed_device_is_told_and_does_not_hang) {
  const DeviceArray<float> x(std::vector<float>(4, 1.0f));
  void (*const fail)(int) = [](int) {
    if (threadIdx.x == 0) __syncthreads();
  };
  start({.stream = stream_}, fail, 0);
  // The communicator's thread may get there before the call does.
  const ncclResult_t first = sum(x.data(), x.data(), 4);
  EXPECT_TRUE(first == ncclSuccess || first == ncclUnhandledCudaError) << first;
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaErrorLaunchFailure);
  EXPECT_EQ(sum(x.data(), x.data(), 4), ncclUnhandledCudaError);
  EXPECT_EQ(ncclCommFinalize(comm_), ncclSuccess);
  cudaDeviceReset();
}

}  // namespace
}  // namespace convoy::emulation
