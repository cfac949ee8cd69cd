// Captures and graphs, and launches that the hardware would refuse.
#include "tests/cuda_emulation/emulation_test.h"

namespace convoy::emulation {
namespace {

class Graphs : public OnEmulatedDevice {
 protected:
  void SetUp() override {
    OnEmulatedDevice::SetUp();
    ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  }
  void TearDown() override {
    cudaStreamDestroy(stream);
    OnEmulatedDevice::TearDown();
  }

  // What `work` enqueues on the stream, as something to launch.
  template <class Record>
  cudaGraphExec_t record(Record&& work) {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    EXPECT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), cudaSuccess);
    work();
    EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    EXPECT_EQ(cudaGraphInstantiate(&executable, graph), cudaSuccess);
    EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
    return executable;
  }

  cudaStream_t stream = nullptr;
};

__global__ void add_kernel(int by, int* out) { out[threadIdx.x] += by; }

TEST_F(Graphs, recording_does_nothing_and_every_replay_does_it_all) {
  const DeviceArray<int> x(std::vector<int>(32, 0)), y(32);
  int by = 3;
  const cudaGraphExec_t graph = record([&] {
    start({.stream = stream}, add_kernel, by, x.data());
    start({.stream = stream}, add_kernel, 1, x.data());
    cudaMemcpyAsync(y.data(), x.data(), x.bytes(), cudaMemcpyDeviceToDevice, stream);
  });
  by = 100;
  EXPECT_EQ(x.values(stream), std::vector<int>(32, 0));
  for (int i = 1; i <= 3; ++i) {
    ASSERT_EQ(cudaGraphLaunch(graph, stream), cudaSuccess);
    EXPECT_EQ(y.values(stream), std::vector<int>(32, 4 * i));
  }
  ASSERT_EQ(cudaGraphLaunch(graph, stream), cudaSuccess);
  EXPECT_EQ(cudaGraphExecDestroy(graph), cudaSuccess);  // with its last launch still to come
  EXPECT_EQ(y.values(stream), std::vector<int>(32, 16));
}

TEST_F(Graphs, a_recorded_copy_reads_host_memory_anew_at_every_replay) {
  const DeviceArray<int> x(1);
  int host = 1;
  const cudaGraphExec_t graph = record([&] { cudaMemcpyAsync(x.data(), &host, 4, cudaMemcpyHostToDevice, stream); });
  host = 7;
  ASSERT_EQ(cudaGraphLaunch(graph, stream), cudaSuccess);
  EXPECT_EQ(x.values(stream)[0], 7);
  cudaGraphExecDestroy(graph);
}

TEST_F(Graphs, waiting_for_a_stream_that_records_spoils_the_recording) {
  cudaGraph_t graph = nullptr;
  for (const auto wait : {+[](cudaStream_t s) { return cudaStreamSynchronize(s); },
                          +[](cudaStream_t) { return cudaDeviceSynchronize(); }}) {
    ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), cudaSuccess);
    EXPECT_EQ(wait(stream), cudaErrorStreamCaptureUnsupported);
    EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(graph, nullptr);
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  }
}

TEST_F(Graphs, a_strict_recording_forbids_what_may_wait_for_the_device) {
  void* memory = nullptr;
  cudaGraph_t graph = nullptr;
  ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&memory, 4), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(cudaStreamSynchronize(nullptr), cudaErrorStreamCaptureUnsupported);
  ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  cudaGraphDestroy(graph);
  ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&memory, 4), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);
  ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  cudaGraphDestroy(graph);
}

TEST_F(Graphs, recordings_begin_and_end_in_pairs) {
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaErrorIllegalState);
  EXPECT_EQ(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeRelaxed), cudaErrorStreamCaptureUnsupported);
  ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), cudaSuccess);
  EXPECT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), cudaErrorIllegalState);
  ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  cudaGraphDestroy(graph);
}

TEST_F(Graphs, a_recording_cannot_wait_for_work_outside_it) {
  cudaEvent_t event = nullptr;
  cudaGraph_t graph = nullptr;
  ASSERT_EQ(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
  ASSERT_EQ(cudaEventRecord(event), cudaSuccess);
  ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(stream, event), cudaErrorStreamCaptureIsolation);
  EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);

  ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(event, stream), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(stream, event), cudaSuccess);
  EXPECT_EQ(cudaEventSynchronize(event), cudaErrorCapturedEvent);
  ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  cudaGraphDestroy(graph);
  cudaEventDestroy(event);
}

// --- launches -----------------------------------------------------------------------------------------------------

using Launches = OnEmulatedDevice;

__global__ void nothing_kernel() {}

TEST_F(Launches, extents_beyond_the_hardware_are_refused) {
  EXPECT_EQ(run({.blocks = dim3(1, 65535, 1), .threads = 1}, nothing_kernel), cudaSuccess);
  for (const dim3 blocks : {dim3(0), dim3(1, 0), dim3(1, 65536), dim3(1, 1, 65536), dim3(0x80000000u)})
    EXPECT_EQ(run({.blocks = blocks}, nothing_kernel), cudaErrorInvalidConfiguration);
  for (const dim3 threads : {dim3(0), dim3(1025), dim3(32, 33), dim3(1, 1, 65)})
    EXPECT_EQ(run({.threads = threads}, nothing_kernel), cudaErrorInvalidConfiguration);
  EXPECT_EQ(run({.threads = dim3(16, 16, 4)}, nothing_kernel), cudaSuccess);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidConfiguration);
}

TEST_F(Launches, more_than_48_KiB_of_shared_memory_must_be_asked_for) {
  const auto ask = [](int bytes) {
    return cudaFuncSetAttribute(reinterpret_cast<const void*>(nothing_kernel),
                                cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  };
  constexpr size_t kKiB = 1024;
  EXPECT_EQ(run({.shared_bytes = 48 * kKiB}, nothing_kernel), cudaSuccess);
  EXPECT_EQ(run({.shared_bytes = 48 * kKiB + 1}, nothing_kernel), cudaErrorInvalidValue);
  EXPECT_EQ(ask(100 * kKiB), cudaSuccess);
  EXPECT_EQ(run({.shared_bytes = 100 * kKiB}, nothing_kernel), cudaSuccess);
  EXPECT_EQ(run({.shared_bytes = 100 * kKiB + 1}, nothing_kernel), cudaErrorInvalidValue);
  EXPECT_EQ(ask(227 * kKiB), cudaSuccess);
  EXPECT_EQ(run({.shared_bytes = 227 * kKiB}, nothing_kernel), cudaSuccess);
  EXPECT_EQ(ask(227 * kKiB + 1), cudaErrorInvalidValue);
  EXPECT_EQ(run({.shared_bytes = 227 * kKiB + 1}, nothing_kernel), cudaErrorInvalidValue);
}

}  // namespace
}  // namespace convoy::emulation
