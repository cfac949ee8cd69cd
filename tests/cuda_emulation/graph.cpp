// Captures and graphs: what one stream would do, kept to be done again. Kernels keep the arguments they were recorded
// with, copies their addresses.
#include <atomic>

#include "tests/cuda_emulation/device.h"

namespace convoy::emulation {
namespace {

std::atomic<int> global_captures = 0;
thread_local int captures_of_this_thread = 0;  // but relaxed ones

void count_capture(cudaStreamCaptureMode mode, int change) {
  if (mode == cudaStreamCaptureModeGlobal) global_captures += change;
  if (mode != cudaStreamCaptureModeRelaxed) captures_of_this_thread += change;
}

}  // namespace

bool capture_forbids_waiting() { return global_captures > 0 || captures_of_this_thread > 0; }

}  // namespace convoy::emulation

struct CUgraphExec_st {
  std::shared_ptr<const std::vector<convoy::emulation::Work>> work;
};

using namespace convoy::emulation;

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  if (stream == nullptr) return remember(cudaErrorStreamCaptureUnsupported);
  if (stream->capture != nullptr) return remember(cudaErrorIllegalState);
  stream->capture = std::make_unique<CUgraph_st>();
  stream->capture_mode = mode;
  stream->capture_spoilt = false;
  count_capture(mode, 1);
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  if (stream == nullptr || stream->capture == nullptr) return remember(cudaErrorIllegalState);
  count_capture(stream->capture_mode, -1);
  const std::unique_ptr<CUgraph_st> capture = std::move(stream->capture);
  if (stream->capture_spoilt) return remember(cudaErrorStreamCaptureInvalidated);
  *graph = new CUgraph_st(std::move(*capture));
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  *executable = new CUgraphExec_st{std::make_shared<const std::vector<Work>>(graph->work)};
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t handle) {
  CUstream_st& stream = stream_of(handle);
  for (size_t i = 0; i < executable->work->size(); ++i) {
    // Holding the work alive, since the executable may be destroyed before its launch is over.
    const cudaError_t error = enqueue(stream, {.work = [work = executable->work, i] { return (*work)[i](); }});
    if (error != cudaSuccess) return remember(error);
  }
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
