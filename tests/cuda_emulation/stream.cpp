// Queues: how work gets into them, and when it is done.
#include <cstdio>

#include "tests/cuda_emulation/device.h"

namespace convoy::emulation {
namespace {

bool ready(const CUstream_st& stream) {
  if (stream.queue.empty()) return false;
  const std::shared_ptr<Record>& awaited = stream.queue.front().awaited;
  return awaited == nullptr || awaited->done;
}

// A stream whose next entry can be done, `preferred` half of the time if it is one.
CUstream_st* choose(EmulatedDevice& device, CUstream_st* preferred) {
  if (preferred != nullptr && device.random.below(2) == 0 && ready(*preferred)) return preferred;
  const size_t count = device.streams.size(), first = device.random.below(count);
  for (size_t i = 0; i < count; ++i) {
    CUstream_st* const stream = device.streams[(first + i) % count];
    if (ready(*stream)) return stream;
  }
  return nullptr;
}

void reach(Record& record) {
  record.time = std::chrono::steady_clock::now();
  record.done = true;
}

void fail_device(EmulatedDevice& device, const std::string& why) {
  std::fprintf(stderr, "cuda emulation: %s\n", why.c_str());
  device.failure = why;
  device.error = cudaErrorLaunchFailure;
  for (CUstream_st* stream : device.streams) {
    for (const Entry& entry : stream->queue) {
      if (entry.reached != nullptr) reach(*entry.reached);
    }
    stream->queue.clear();
  }
  device.changed.notify_all();
}

void do_next(CUstream_st& stream) {
  const Entry entry = std::move(stream.queue.front());
  stream.queue.pop_front();
  if (entry.reached != nullptr) reach(*entry.reached);
  if (entry.work == nullptr) return;
  const std::string wrong = entry.work();
  if (!wrong.empty()) fail_device(*stream.device, wrong);
}

}  // namespace

cudaError_t enqueue(CUstream_st& stream, Entry entry) {
  const std::lock_guard lock(stream.device->mutex);
  if (stream.device->error != cudaSuccess) return stream.device->error;
  if (stream.capture != nullptr) {
    stream.capture->work.push_back(std::move(entry.work));
  } else {
    stream.queue.push_back(std::move(entry));
  }
  return cudaSuccess;
}

cudaError_t work_until(EmulatedDevice& device, CUstream_st* stream, const std::function<bool()>& done,
                       const std::atomic<bool>* give_up) {
  const auto over = [&] { return device.error != cudaSuccess || done() || (give_up != nullptr && *give_up); };
  for (;;) {
    std::shared_ptr<Record> elsewhere;
    {
      std::unique_lock lock(device.mutex);
      while (!over()) {
        if (CUstream_st* const next = choose(device, stream)) {
          do_next(*next);
          continue;
        }
        const std::shared_ptr<Record> awaited = stream->queue.front().awaited;
        if (awaited->stream != nullptr) {
          elsewhere = awaited;
          break;
        }
        device.changed.wait(lock, [&] { return awaited->done || over(); });
      }
      if (elsewhere == nullptr) return device.error;
    }
    // Not under the lock, so that two devices can wait for each other's work.
    const cudaError_t error = work_until(
        *elsewhere->device, elsewhere->stream, [&] { return elsewhere->done.load(); }, give_up);
    if (error != cudaSuccess) return error;
  }
}

cudaError_t work_until(CUstream_st& stream, const std::function<bool()>& done) {
  return work_until(*stream.device, &stream, done);
}

void come_true(Record& record) {
  {
    const std::lock_guard lock(record.device->mutex);
    reach(record);
  }
  record.device->changed.notify_all();
}

cudaError_t finish_stream(CUstream_st& stream) {
  return work_until(stream, [&] { return stream.queue.empty(); });
}

cudaError_t finish_device(EmulatedDevice& device) {
  std::vector<CUstream_st*> streams;
  {
    const std::lock_guard lock(device.mutex);
    streams = device.streams;
  }
  for (CUstream_st* stream : streams) {
    if (const cudaError_t error = finish_stream(*stream); error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

void work_a_little(EmulatedDevice& device) {
  const std::lock_guard lock(device.mutex);
  if (CUstream_st* const next = choose(device, nullptr)) do_next(*next);
}

}  // namespace convoy::emulation

using namespace convoy::emulation;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  cudaError_t error;
  EmulatedDevice* const device = usable_device(error);
  if (device == nullptr) return remember(error);
  *stream = new CUstream_st{.device = device};
  const std::lock_guard lock(device->mutex);
  device->streams.push_back(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (stream == nullptr) return remember(cudaErrorInvalidResourceHandle);
  EmulatedDevice& device = *stream->device;
  const cudaError_t error = finish_stream(*stream);
  {
    const std::lock_guard lock(device.mutex);
    std::erase(device.streams, stream);
  }
  delete stream;
  return remember(error);
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  CUstream_st& stream = stream_of(handle);
  if (stream.capture != nullptr) {
    stream.capture_spoilt = true;
    return remember(cudaErrorStreamCaptureUnsupported);
  }
  if (capture_forbids_waiting()) return remember(cudaErrorStreamCaptureUnsupported);
  return remember(finish_stream(stream));
}

cudaError_t cudaDeviceSynchronize() {
  cudaError_t error;
  EmulatedDevice* const device = usable_device(error);
  if (device == nullptr) return remember(error);
  bool capturing = capture_forbids_waiting();
  {
    const std::lock_guard lock(device->mutex);
    for (CUstream_st* stream : device->streams) {
      if (stream->capture == nullptr) continue;
      stream->capture_spoilt = capturing = true;
    }
  }
  return remember(capturing ? cudaErrorStreamCaptureUnsupported : finish_device(*device));
}
