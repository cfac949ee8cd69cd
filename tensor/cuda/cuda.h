// What the engine needs of CUDA besides kernels: devices, memory, copies, streams. No CUDA header is included here,
// and no caller knows whether CUDA is there: cuda.cpp implements this page, no_cuda.cpp does for a build without.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "tensor/device.h"
#include "tensor/kernels.h"

namespace convoy::cuda {

bool built();  // whether this build has CUDA at all

// "" when device_count() is at least 1, else why not: "this build has no CUDA", "no driver", "no device".
std::string unavailable();
int device_count();  // 0 where unavailable() says why; never throws

struct DeviceInfo {
  std::string name;  // "NVIDIA H200"
  int64_t bytes_total = 0, bytes_free = 0;
  int multiprocessors = 0;
  int compute_capability = 0;  // 90 for 9.0
};

// Everything below throws Error(device) for a device that is not there, naming those that are.

DeviceInfo device_info(int device);

Stream make_stream(int device);  // ended by end_stream() or with the process
void end_stream(const Stream& stream);
void synchronize(const Stream& stream);

// Memory of the device, aligned to 256 bytes; null when there is not enough. release() waits for the device first.
std::byte* allocate(int device, int64_t bytes);
void release(int device, std::byte* memory);

// Copies `bytes` between devices, one of which may be the CPU, and sets bytes to 0. Ordered with the work of
// current_stream() when that is on a device taking part, else after all work of that device. On return host memory
// may be read, written and freed.
void copy(void* to, Device to_device, const void* from, Device from_device, int64_t bytes);
void set_zero(void* memory, int device, int64_t bytes);

// Copies `bytes` from a GPU's memory to that of the stream's, in the stream's order; returns at once.
void enqueue_copy(const Stream& stream, void* to, int from_device, const void* from, int64_t bytes);
// From now on such copies go from one GPU to the other directly where the machine can do that, not through the host.
void connect(int to_device, int from_device);

// A mark in the work of a stream, for other streams to wait for. On a CPU's, whose work is done by then, all this is
// nothing.
class Event {
 public:
  Event() = default;
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  // Behind what is in the stream so far; what is recorded again moves.
  void record(const Stream& stream);
  // What comes to the stream from now on waits for the work before the mark; never recorded: for nothing.
  void hold_up(const Stream& stream) const;
  // Whether the work before the mark, which was recorded, is done.
  bool passed() const;

 private:
  int device_ = 0;
  void* handle_ = nullptr;
};

// Work that was recorded instead of run, to be replayed as one (a CUDA graph).
class Graph {
 public:
  // Calls `work`, which uses current_stream() and waits for nothing; what it enqueues is recorded. Memory it takes from
  // the pool is the graph's from then on: nothing else is ever given it.
  Graph(const Stream& stream, const std::function<void()>& work);
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  void replay(const Stream& stream);  // asynchronous

 private:
  void end();

  Stream recording_;
  void* executable_ = nullptr;
};

// Bytes on their way from a device to the host while the host goes on.
class Readback {
 public:
  Readback(int device, int64_t bytes);
  ~Readback();
  Readback(const Readback&) = delete;
  Readback& operator=(const Readback&) = delete;

  void start(const Stream& stream, const void* from);  // copies the `bytes` at `from`, in the stream's order
  const std::byte* wait();                             // for the copy last started; valid until the next start()

 private:
  int device_;
  int64_t bytes_;
  void* host_ = nullptr;
  void* event_ = nullptr;
};

const Kernels& kernel_table();

}  // namespace convoy::cuda
