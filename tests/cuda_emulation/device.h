// The emulated devices and their streams, as the files behind cuda_runtime.h see them.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tests/cuda_emulation/cuda_runtime.h"
#include "tests/cuda_emulation/random.h"

namespace convoy::emulation {

// Something a stream does; returns "" or why it failed.
using Work = std::function<std::string()>;

struct EmulatedDevice;

// A place that streams reach once, and that others wait for. One cudaEventRecord(), behind all work that was in its stream
// before; or, where `stream` is null, something that a thread of its own brings about: it calls come_true().
struct Record {
  EmulatedDevice* device = nullptr;
  CUstream_st* stream = nullptr;  // where work must be done until `done`; it lives at least until then
  bool captured = false;          // into a graph: never done
  std::atomic<bool> done = false;
  std::chrono::steady_clock::time_point time;
};

// An entry of a stream's queue: exactly one member is set.
struct Entry {
  Work work = {};
  std::shared_ptr<Record> awaited = {};
  std::shared_ptr<Record> reached = {};
};

struct EmulatedDevice {
  int index = 0;
  std::mutex mutex;  // guards all below, and the queues; held while work runs, never while something is waited for
  std::condition_variable changed;  // a record without a stream came true, or work was dropped
  std::vector<CUstream_st*> streams;
  Random random{0};
  cudaError_t error = cudaSuccess;  // stays until cudaDeviceReset()
  std::string failure;
  uint32_t peers = 0;  // bit i: cudaDeviceEnablePeerAccess(i) was called
};

// The devices that the calling thread may choose from.
int visible_devices();
EmulatedDevice& device_at(int index);

// The calling thread's. Null, and `error` says why, when there is none or it failed earlier.
EmulatedDevice* usable_device(cudaError_t& error);
int current_device();

// Shared memory that a block may ask for: CONVOY_EMULATED_SHARED_MEMORY, at most and by default kMaxSharedBytes.
size_t shared_bytes_per_block();

// Null means the current device's own stream.
CUstream_st& stream_of(cudaStream_t handle);

// Appends to the stream, or to the graph that it records.
cudaError_t enqueue(CUstream_st& stream, Entry entry);

// Does work, of all streams of the device in a random order and of other devices where they are waited for, until
// `done` or a failure. `stream` is the one that stands in the way.
cudaError_t work_until(CUstream_st& stream, const std::function<bool()>& done);
// The same for a stream that may be gone once it is `done`, until then or until `give_up`, which wake_all_devices()
// makes seen.
cudaError_t work_until(EmulatedDevice& device, CUstream_st* stream, const std::function<bool()>& done,
                       const std::atomic<bool>* give_up = nullptr);
void come_true(Record& record);  // wakes who waits for it; call it without the device's mutex
void wake_all_devices();
cudaError_t finish_stream(CUstream_st& stream);
cudaError_t finish_device(EmulatedDevice& device);
void work_a_little(EmulatedDevice& device);  // one entry, if there is one

// Whether a capture going on, here or in another thread, forbids calls that may wait for a device.
bool capture_forbids_waiting();

// Keeps an error for cudaGetLastError().
cudaError_t remember(cudaError_t error);

}  // namespace convoy::emulation

struct CUgraph_st {
  std::vector<convoy::emulation::Work> work;
};

struct CUstream_st {
  convoy::emulation::EmulatedDevice* device;
  std::deque<convoy::emulation::Entry> queue = {};
  std::unique_ptr<CUgraph_st> capture = {};  // while it records
  cudaStreamCaptureMode capture_mode = cudaStreamCaptureModeGlobal;
  bool capture_spoilt = false;
};

struct CUevent_st {
  std::shared_ptr<convoy::emulation::Record> record;  // the last; null before any
  bool timed;
};
