// What the tests of the emulated NCCL share: ranks that are threads, each on a device of its own.
#pragma once

#include <nccl.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <thread>

#include "tests/cuda_emulation/emulation_test.h"

namespace convoy::emulation {

inline cudaStream_t new_stream() {
  cudaStream_t stream = nullptr;
  EXPECT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  return stream;
}

inline ncclUniqueId new_id() {
  ncclUniqueId id;
  EXPECT_EQ(ncclGetUniqueId(&id), ncclSuccess);
  return id;
}

inline ncclResult_t join(ncclComm_t* comm, int ranks, const ncclUniqueId& id, int rank, int blocking = 1) {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = blocking;
  return ncclCommInitRankConfig(comm, ranks, id, rank, &config);
}

// Polls until the communicator is no longer in progress; how often it was is added to `*times`.
inline ncclResult_t settle(ncclComm_t comm, int* times = nullptr) {
  for (;; std::this_thread::sleep_for(std::chrono::microseconds(100))) {
    ncclResult_t state = ncclSuccess;
    EXPECT_EQ(ncclCommGetAsyncError(comm, &state), ncclSuccess);
    if (state != ncclInProgress) return state;
    if (times != nullptr) ++*times;
  }
}

// Whether what is in the stream so far is done by then.
inline bool done_within(cudaStream_t stream, std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  cudaEvent_t event = nullptr;
  EXPECT_EQ(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(event, stream), cudaSuccess);
  cudaError_t state = cudaErrorNotReady;
  while (state == cudaErrorNotReady && std::chrono::steady_clock::now() < end) {
    state = cudaEventQuery(event);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(cudaEventDestroy(event), cudaSuccess);
  return state == cudaSuccess;
}

// The second is much longer than anything takes here, the first longer than most.
inline bool stands_still(cudaStream_t stream) { return !done_within(stream, std::chrono::milliseconds(200)); }
inline bool goes_on(cudaStream_t stream) { return done_within(stream, std::chrono::seconds(50)); }

struct Rank {
  int rank, ranks;
  ncclComm_t comm;
  cudaStream_t stream;
};

inline void on_threads(int count, const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i)
    threads.emplace_back([&body, i] {
      ASSERT_EQ(cudaSetDevice(i), cudaSuccess);
      body(i);
    });
  for (std::thread& thread : threads) thread.join();
}

// Each with a blocking communicator. `body` may abort it and set it to null.
inline void on_ranks(int ranks, const std::function<void(Rank&)>& body) {
  const ncclUniqueId id = new_id();
  on_threads(ranks, [&](int i) {
    Rank rank{i, ranks, nullptr, new_stream()};
    ASSERT_EQ(join(&rank.comm, ranks, id, i), ncclSuccess);
    body(rank);
    if (rank.comm != nullptr) {
      EXPECT_EQ(ncclCommDestroy(rank.comm), ncclSuccess);
    }
    cudaStreamDestroy(rank.stream);
  });
}

// All devices are healthy at first. What hangs is ended by the alarm.
class OnRanks : public testing::Test {
 protected:
  void SetUp() override {
    reset();
    set_seed(1);
    alarm(100);
  }
  void TearDown() override {
    alarm(0);
    reset();
  }

 private:
  static void reset() {
    int devices = 0;
    cudaGetDeviceCount(&devices);
    for (int i = devices - 1; i >= 0; --i) {
      cudaSetDevice(i);
      cudaDeviceReset();
    }
  }
};

}  // namespace convoy::emulation
