// Events: marks in one stream that others, and the host, can wait for.
#include "tests/cuda_emulation/device.h"

using namespace convoy::emulation;

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  cudaError_t error;
  if (usable_device(error) == nullptr) return remember(error);
  *event = new CUevent_st{.record = nullptr, .timed = (flags & cudaEventDisableTiming) == 0};
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle) {
  CUstream_st& stream = stream_of(handle);
  const auto record = std::make_shared<Record>();
  record->device = stream.device;
  record->stream = &stream;
  record->captured = stream.capture != nullptr;
  if (!record->captured) {
    const cudaError_t error = enqueue(stream, {.reached = record});
    if (error != cudaSuccess) return remember(error);
  }
  event->record = record;
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned) {
  CUstream_st& stream = stream_of(handle);
  const std::shared_ptr<Record> record = event->record;
  if (record == nullptr) return cudaSuccess;  // never recorded: nothing to wait for
  if (stream.capture != nullptr) {
    // Within the one stream of a graph all is in order anyway.
    if (record->captured && record->stream == &stream) return cudaSuccess;
    stream.capture_spoilt = true;
    return remember(record->captured ? cudaErrorNotSupported : cudaErrorStreamCaptureIsolation);
  }
  if (record->captured) return remember(cudaErrorNotSupported);  // CUDA would draw this stream into the capture
  return remember(enqueue(stream, {.awaited = record}));
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (capture_forbids_waiting()) return remember(cudaErrorStreamCaptureUnsupported);
  const std::shared_ptr<Record> record = event->record;
  if (record == nullptr) return cudaSuccess;
  if (record->captured) return remember(cudaErrorCapturedEvent);
  if (record->done) return cudaSuccess;
  return remember(work_until(*record->device, record->stream, [&] { return record->done.load(); }));
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  if (capture_forbids_waiting()) return remember(cudaErrorStreamCaptureUnsupported);
  const std::shared_ptr<Record> record = event->record;
  if (record == nullptr) return cudaSuccess;
  if (record->captured) return remember(cudaErrorCapturedEvent);
  if (record->done) return cudaSuccess;
  work_a_little(*record->device);
  return remember(record->done ? cudaSuccess : cudaErrorNotReady);
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  if (!start->timed || !end->timed || start->record == nullptr || end->record == nullptr)
    return remember(cudaErrorInvalidResourceHandle);
  if (!start->record->done || !end->record->done) return remember(cudaErrorNotReady);
  *milliseconds = std::chrono::duration<float, std::milli>(end->record->time - start->record->time).count();
  return cudaSuccess;
}
