// Streams, events, devices: what is ordered, and what is not.
#include <array>
#include <cstdlib>
#include <thread>

#include "tests/cuda_emulation/emulation_test.h"

namespace convoy::emulation {
namespace {

using Streams = OnEmulatedDevice;

__global__ void set_kernel(int value, int* out) { out[threadIdx.x] = value; }
__global__ void add_kernel(const int* in, int* out) { out[threadIdx.x] += in[threadIdx.x]; }

cudaStream_t new_stream() {
  cudaStream_t stream = nullptr;
  EXPECT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  return stream;
}

cudaEvent_t new_event(unsigned flags = cudaEventDisableTiming) {
  cudaEvent_t event = nullptr;
  EXPECT_EQ(cudaEventCreateWithFlags(&event, flags), cudaSuccess);
  return event;
}

TEST_F(Streams, a_stream_keeps_its_order) {
  const DeviceArray<int> x(std::vector<int>(32, 1)), y(32);
  start({}, set_kernel, 5, y.data());
  start({}, add_kernel, x.data(), y.data());
  start({}, add_kernel, y.data(), y.data());
  EXPECT_EQ(y.values(), std::vector<int>(32, 12));
}

// One stream writes x, the other reads it; whether right values come out with and without an event between them.
std::array<int, 2> right_of_ten(bool with_event) {
  int right = 0, wrong = 0;
  const cudaStream_t writer = new_stream(), reader = new_stream();
  const cudaEvent_t written = new_event();
  for (uint64_t seed = 0; seed < 10; ++seed) {
    set_seed(seed);
    const DeviceArray<int> x(std::vector<int>(32, 0)), y(std::vector<int>(32, 1));
    start({.stream = writer}, set_kernel, 3, x.data());
    if (with_event) {
      EXPECT_EQ(cudaEventRecord(written, writer), cudaSuccess);
      EXPECT_EQ(cudaStreamWaitEvent(reader, written), cudaSuccess);
    }
    start({.stream = reader}, add_kernel, x.data(), y.data());
    (y.values(reader) == std::vector<int>(32, 4) ? right : wrong)++;
    EXPECT_EQ(cudaStreamSynchronize(writer), cudaSuccess);
  }
  EXPECT_EQ(cudaEventDestroy(written), cudaSuccess);
  EXPECT_EQ(cudaStreamDestroy(writer), cudaSuccess);
  EXPECT_EQ(cudaStreamDestroy(reader), cudaSuccess);
  return {right, wrong};
}

TEST_F(Streams, an_event_orders_two_streams) { EXPECT_EQ(right_of_ten(true), (std::array{10, 0})); }

TEST_F(Streams, a_missing_event_shows) { EXPECT_GE(right_of_ten(false)[1], 3); }

TEST_F(Streams, waiting_for_one_stream_does_not_finish_another) {
  int unfinished = 0;
  const cudaStream_t a = new_stream(), b = new_stream();
  for (uint64_t seed = 0; seed < 10; ++seed) {
    set_seed(seed);
    const DeviceArray<int> x(std::vector<int>(32, 0)), y(32);
    start({.stream = a}, set_kernel, 1, x.data());
    start({.stream = b}, set_kernel, 1, y.data());
    EXPECT_EQ(cudaStreamSynchronize(b), cudaSuccess);
    unfinished += x.data()[0] == 0;
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    EXPECT_EQ(x.data()[0], 1);
  }
  EXPECT_GE(unfinished, 2);
  cudaStreamDestroy(a);
  cudaStreamDestroy(b);
}

TEST_F(Streams, an_event_is_done_when_what_was_before_it_is) {
  const cudaStream_t stream = new_stream();
  const cudaEvent_t event = new_event();
  const DeviceArray<int> x(std::vector<int>(32, 0));
  EXPECT_EQ(cudaEventQuery(event), cudaSuccess);  // never recorded
  start({.stream = stream}, set_kernel, 1, x.data());
  cudaEventRecord(event, stream);
  start({.stream = stream}, set_kernel, 2, x.data());
  EXPECT_EQ(cudaEventSynchronize(event), cudaSuccess);
  EXPECT_EQ(x.data()[0], 1);

  cudaEventRecord(event, stream);
  int polls = 0;
  while (cudaEventQuery(event) == cudaErrorNotReady) ++polls;
  EXPECT_EQ(polls, 1);
  EXPECT_EQ(x.data()[0], 2);
  cudaEventDestroy(event);
  cudaStreamDestroy(stream);
}

TEST_F(Streams, time_passes_between_events) {
  const cudaEvent_t start_event = new_event(cudaEventDefault), end_event = new_event(cudaEventDefault);
  const DeviceArray<int> x(32);
  float milliseconds = -1;
  cudaEventRecord(start_event);
  start({.blocks = 100}, set_kernel, 1, x.data());
  cudaEventRecord(end_event);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start_event, end_event), cudaErrorNotReady);
  cudaEventSynchronize(end_event);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start_event, end_event), cudaSuccess);
  EXPECT_GT(milliseconds, 0.0f);
  EXPECT_LT(milliseconds, 10000.0f);
  cudaEventDestroy(start_event);
  cudaEventDestroy(end_event);
}

// --- devices ------------------------------------------------------------------------------------------------------

TEST_F(Streams, a_device_that_is_not_there_cannot_be_chosen) {
  int count = 0, device = -1;
  ASSERT_EQ(setenv("CONVOY_EMULATED_GPUS", "2", 1), 0);
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaSuccess);
  EXPECT_EQ(count, 2);
  EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
  EXPECT_EQ(cudaSetDevice(2), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaGetDevice(&device), cudaSuccess);
  EXPECT_EQ(device, 1);
  cudaSetDevice(0);
  ASSERT_EQ(setenv("CONVOY_EMULATED_GPUS", "0", 1), 0);
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorNoDevice);
  EXPECT_EQ(count, 0);
  void* memory = nullptr;
  EXPECT_EQ(cudaMalloc(&memory, 4), cudaErrorNoDevice);
  ASSERT_EQ(setenv("CONVOY_EMULATED_GPUS", "4", 1), 0);
}

TEST_F(Streams, a_count_of_devices_that_is_no_number_ends_the_program) {
  for (const char* const bad : {"", "two", "2x", "-1", " 2"}) {
    const auto count_devices = [bad] {
      setenv("CONVOY_EMULATED_GPUS", bad, 1);
      int count = 0;
      cudaGetDeviceCount(&count);
    };
    EXPECT_EXIT(count_devices(), testing::ExitedWithCode(2),
                std::string("cuda_emulation: CONVOY_EMULATED_GPUS: '") + bad + "' is not a whole number");
  }
}

TEST_F(Streams, access_to_a_peer_is_enabled_once) {
  int can = -1;
  EXPECT_EQ(cudaDeviceCanAccessPeer(&can, 0, 1), cudaSuccess);
  EXPECT_EQ(can, 1);
  EXPECT_EQ(cudaDeviceCanAccessPeer(&can, 1, 1), cudaSuccess);
  EXPECT_EQ(can, 0);
  EXPECT_EQ(cudaDeviceCanAccessPeer(&can, 0, 4), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaDeviceEnablePeerAccess(0, 0), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaDeviceEnablePeerAccess(1, 1), cudaErrorInvalidValue);
  EXPECT_EQ(cudaDeviceEnablePeerAccess(1, 0), cudaSuccess);
  EXPECT_EQ(cudaDeviceEnablePeerAccess(1, 0), cudaErrorPeerAccessAlreadyEnabled);
  EXPECT_STREQ(cudaGetErrorName(cudaGetLastError()), "cudaErrorPeerAccessAlreadyEnabled");
  EXPECT_EQ(cudaDeviceEnablePeerAccess(2, 0), cudaSuccess);
  EXPECT_EQ(cudaDeviceReset(), cudaSuccess);
  EXPECT_EQ(cudaDeviceEnablePeerAccess(1, 0), cudaSuccess);
}

TEST_F(Streams, a_kernel_is_launched_on_the_device_of_its_stream) {
  const cudaStream_t stream = new_stream();
  const DeviceArray<int> x(32);
  ASSERT_EQ(cudaSetDevice(1), cudaSuccess);
  EXPECT_EQ(start({.stream = stream}, set_kernel, 1, x.data()), cudaErrorInvalidResourceHandle);
  ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
  EXPECT_EQ(run({.stream = stream}, set_kernel, 1, x.data()), cudaSuccess);
  cudaStreamDestroy(stream);
}

// Each of four threads drives a device of its own, hands its numbers to the next device and adds what it is handed.
TEST_F(Streams, threads_drive_devices_of_their_own) {
  constexpr int kDevices = 4, kRounds = 20;
  struct Worker {
    cudaStream_t stream;
    cudaEvent_t sent;
    int *x, *inbox;
  } workers[kDevices];
  for (int i = 0; i < kDevices; ++i) {
    ASSERT_EQ(cudaSetDevice(i), cudaSuccess);
    workers[i] = {new_stream(), new_event(), DeviceArray<int>(std::vector<int>(256, i)).data(),
                  DeviceArray<int>(256).data()};
  }
  const auto on_all = [&](auto&& body) {
    std::vector<std::thread> threads;
    for (int i = 0; i < kDevices; ++i)
      threads.emplace_back([&, i] {
        ASSERT_EQ(cudaSetDevice(i), cudaSuccess);
        body(workers[i], workers[(i + 1) % kDevices], i);
      });
    for (std::thread& thread : threads) thread.join();
  };
  for (int round = 0; round < kRounds; ++round) {
    on_all([&](Worker& me, Worker& next, int i) {
      EXPECT_EQ(cudaMemcpyPeerAsync(next.inbox, (i + 1) % kDevices, me.x, i, 1024, me.stream), cudaSuccess);
      EXPECT_EQ(cudaEventRecord(me.sent, me.stream), cudaSuccess);
    });
    // All wait for the sender and for their own sending, which stands behind work of yet another device.
    on_all([&](Worker& me, Worker&, int i) {
      EXPECT_EQ(cudaStreamWaitEvent(me.stream, workers[(i + kDevices - 1) % kDevices].sent), cudaSuccess);
      EXPECT_EQ(start({.threads = 256, .stream = me.stream}, add_kernel, me.inbox, me.x), cudaSuccess);
      EXPECT_EQ(cudaStreamSynchronize(me.stream), cudaSuccess);
    });
  }
  std::array<int, kDevices> expected = {0, 1, 2, 3};
  for (int round = 0; round < kRounds; ++round) {
    const auto before = expected;
    for (size_t i = 0; i < kDevices; ++i) expected[i] += before[(i + kDevices - 1) % kDevices];
  }
  for (int i = 0; i < kDevices; ++i) {
    std::vector<int> host(256);
    cudaMemcpyAsync(host.data(), workers[i].x, 1024, cudaMemcpyDeviceToHost, workers[i].stream);
    ASSERT_EQ(cudaStreamSynchronize(workers[i].stream), cudaSuccess);
    EXPECT_EQ(host, std::vector<int>(256, expected[static_cast<size_t>(i)]));
    cudaEventDestroy(workers[i].sent);
    cudaStreamDestroy(workers[i].stream);
    cudaSetDevice(i);
    cudaDeviceReset();
  }
}

}  // namespace
}  // namespace convoy::emulation
