#include "tensor/cuda/cuda.h"

#include <cuda_runtime.h>

#include <map>
#include <mutex>

#include "tensor/cuda/launch.h"
#include "tensor/error.h"
#include "tensor/memory_pool.h"

namespace convoy::cuda {
namespace {

void check_device(int device) {
  const std::string reason = unavailable();
  if (!reason.empty()) fail(ErrorKind::device, "cuda: {}; --device cpu trains without", reason);
  const int count = device_count();
  if (device < 0 || device >= count)
    fail(ErrorKind::device, "cuda:{}: there is no such device; this machine has cuda:0{}", device,
         count == 1 ? "" : fmt::format(" to cuda:{}", count - 1));
}

void use(int device) { check(cudaSetDevice(device), "choosing the device"); }

// Asked for once: that takes longer than a kernel.
const cudaDeviceProp& properties_of(int device) {
  static std::mutex& mutex = *new std::mutex;
  static std::map<int, cudaDeviceProp>& known = *new std::map<int, cudaDeviceProp>;
  const std::lock_guard lock(mutex);
  if (const auto found = known.find(device); found != known.end()) return found->second;
  cudaDeviceProp properties = {};
  check(cudaGetDeviceProperties(&properties, device), "asking for the device's properties");
  return known[device] = properties;
}

// How memory of `device` is touched: in order with the calling thread's work when that is on the device, else after all
// that the device has to do, and before the call returns.
class Access {
 public:
  explicit Access(int device) {
    const Stream& current = current_stream();
    in_order_ = current.device == Device{Device::Kind::cuda, device};
    if (in_order_) {
      stream_ = enter(current);
    } else {
      use(device);
      check(cudaDeviceSynchronize(), "waiting for the device");
    }
  }
  cudaStream_t stream() const { return stream_; }
  void finish(bool wait) const {
    if (wait || !in_order_) check(cudaStreamSynchronize(stream_), "waiting for the stream");
  }

 private:
  bool in_order_ = false;
  cudaStream_t stream_ = nullptr;  // null: the device's default stream
};

}  // namespace

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // an error that was reported is not reported again
  const std::string message = fmt::format("cuda: {}: {}", what, cudaGetErrorString(status));
  if (status == cudaErrorMemoryAllocation) throw OutOfMemory(message);
  throw Error(ErrorKind::device, message);
}

cudaStream_t enter(const Stream& stream) {
  use(stream.device.index);
  return static_cast<cudaStream_t>(stream.handle);
}

bool built() { return true; }

size_t most_shared_bytes(const Stream& stream) { return properties_of(stream.device.index).sharedMemPerBlockOptin; }

int64_t device_bytes(const Stream& stream) {
  return static_cast<int64_t>(properties_of(stream.device.index).totalGlobalMem);
}

std::string unavailable() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  cudaGetLastError();
  if (status == cudaErrorInsufficientDriver) return "there is no NVIDIA driver, or it is older than this build's CUDA";
  if (status == cudaErrorNoDevice || (status == cudaSuccess && count == 0)) return "no GPU is visible";
  return status == cudaSuccess ? "" : cudaGetErrorString(status);
}

int device_count() {
  int count = 0;
  const bool counted = cudaGetDeviceCount(&count) == cudaSuccess;
  cudaGetLastError();
  return counted ? count : 0;
}

DeviceInfo device_info(int device) {
  check_device(device);
  const cudaDeviceProp& properties = properties_of(device);
  use(device);
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "asking for free memory");
  return {.name = properties.name,
          .bytes_total = static_cast<int64_t>(total),
          .bytes_free = static_cast<int64_t>(free),
          .multiprocessors = properties.multiProcessorCount,
          .compute_capability = 10 * properties.major + properties.minor};
}

Stream make_stream(int device) {
  check_device(device);
  use(device);
  cudaStream_t handle = nullptr;
  check(cudaStreamCreateWithFlags(&handle, cudaStreamNonBlocking), "making a stream");
  return {.device = {Device::Kind::cuda, device}, .handle = handle};
}

void end_stream(const Stream& stream) {
  const cudaStream_t handle = enter(stream);
  cudaStreamSynchronize(handle);
  cudaStreamDestroy(handle);
}

void synchronize(const Stream& stream) { check(cudaStreamSynchronize(enter(stream)), "waiting for the stream"); }

std::byte* allocate(int device, int64_t bytes) {
  check_device(device);
  use(device);
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, static_cast<size_t>(bytes));
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return nullptr;
  }
  check(status, "allocating memory");
  return static_cast<std::byte*>(memory);
}

void release(int device, std::byte* memory) {
  use(device);
  check(cudaFree(memory), "releasing memory");
}

void copy(void* to, Device to_device, const void* from, Device from_device, int64_t bytes) {
  const bool to_gpu = to_device.kind == Device::Kind::cuda, from_gpu = from_device.kind == Device::Kind::cuda;
  const size_t size = static_cast<size_t>(bytes);
  if (to_gpu && from_gpu && to_device != from_device) {
    Access(to_device.index).finish(true);
    const Access source(from_device.index);
    check(cudaMemcpyPeerAsync(to, to_device.index, from, from_device.index, size, source.stream()),
          "copying between devices");
    source.finish(true);
    return;
  }
  const Access access(to_gpu ? to_device.index : from_device.index);
  check(cudaMemcpyAsync(to, from, size, cudaMemcpyDefault, access.stream()), "copying memory");
  // Within a device the stream's order is enough; and from pageable host memory, which tensors are in, CUDA returns once
  // it has read it.
  access.finish(!to_gpu);
}

void set_zero(void* memory, int device, int64_t bytes) {
  const Access access(device);
  check(cudaMemsetAsync(memory, 0, static_cast<size_t>(bytes), access.stream()), "clearing memory");
  access.finish(false);
}

void enqueue_copy(const Stream& stream, void* to, int from_device, const void* from, int64_t bytes) {
  check(cudaMemcpyPeerAsync(to, stream.device.index, from, from_device, static_cast<size_t>(bytes), enter(stream)),
        "copying between devices");
}

void connect(int to_device, int from_device) {
  int possible = 0;
  check(cudaDeviceCanAccessPeer(&possible, to_device, from_device), "asking what the device can reach");
  if (possible == 0) return;
  use(to_device);
  const cudaError_t status = cudaDeviceEnablePeerAccess(from_device, 0);
  if (status == cudaErrorPeerAccessAlreadyEnabled) {
    cudaGetLastError();
    return;
  }
  check(status, "connecting devices");
}

Event::~Event() {
  if (handle_ == nullptr) return;
  cudaSetDevice(device_);
  cudaEventDestroy(static_cast<cudaEvent_t>(handle_));
}

void Event::record(const Stream& stream) {
  if (stream.device.kind == Device::Kind::cpu) return;
  const cudaStream_t queue = enter(stream);
  if (handle_ == nullptr) {
    cudaEvent_t event = nullptr;
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "making an event");
    handle_ = event;
    device_ = stream.device.index;
  }
  check(cudaEventRecord(static_cast<cudaEvent_t>(handle_), queue), "marking a place in the stream");
}

void Event::hold_up(const Stream& stream) const {
  if (handle_ == nullptr) return;
  check(cudaStreamWaitEvent(enter(stream), static_cast<cudaEvent_t>(handle_), 0), "making a stream wait");
}

bool Event::passed() const {
  if (handle_ == nullptr) return true;
  use(device_);
  const cudaError_t status = cudaEventQuery(static_cast<cudaEvent_t>(handle_));
  if (status == cudaErrorNotReady) {
    cudaGetLastError();
    return false;
  }
  check(status, "looking at an event");
  return true;
}

Graph::Graph(const Stream& stream, const std::function<void()>& work) : recording_(stream) {
  // A stream of its own, so that the pool keeps the graph's memory apart.
  recording_.handle = make_stream(stream.device.index).handle;
  pool_keep(recording_, true);
  const cudaStream_t handle = enter(recording_);
  cudaGraph_t graph = nullptr;
  try {
    check(cudaStreamBeginCapture(handle, cudaStreamCaptureModeRelaxed), "beginning to record");
    {
      const StreamScope scope(recording_);
      work();
    }
    check(cudaStreamEndCapture(handle, &graph), "recording");
    cudaGraphExec_t executable = nullptr;
    check(cudaGraphInstantiate(&executable, graph, 0), "making a recording executable");
    executable_ = executable;
    check(cudaGraphDestroy(graph), "recording");
  } catch (...) {
    cudaStreamEndCapture(handle, &graph);  // fails when the recording has ended
    cudaGetLastError();
    end();
    throw;
  }
}

void Graph::end() {
  // A replay may be under way on any stream, in memory that is anyone's from here on.
  cudaDeviceSynchronize();
  if (executable_ != nullptr) cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(executable_));
  pool_keep(recording_, false);
  end_stream(recording_);
}

Graph::~Graph() { end(); }

void Graph::replay(const Stream& stream) {
  check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(executable_), enter(stream)), "replaying a recording");
}

Readback::Readback(int device, int64_t bytes) : device_(device), bytes_(bytes) {
  use(device);
  check(cudaMallocHost(&host_, static_cast<size_t>(bytes)), "allocating pinned memory");
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "making an event");
  event_ = event;
}

Readback::~Readback() {
  cudaSetDevice(device_);
  cudaEventSynchronize(static_cast<cudaEvent_t>(event_));
  cudaEventDestroy(static_cast<cudaEvent_t>(event_));
  cudaFreeHost(host_);
}

void Readback::start(const Stream& stream, const void* from) {
  const cudaStream_t handle = enter(stream);
  check(cudaMemcpyAsync(host_, from, static_cast<size_t>(bytes_), cudaMemcpyDeviceToHost, handle), "reading back");
  check(cudaEventRecord(static_cast<cudaEvent_t>(event_), handle), "reading back");
}

const std::byte* Readback::wait() {
  check(cudaEventSynchronize(static_cast<cudaEvent_t>(event_)), "reading back");
  return static_cast<const std::byte*>(host_);
}

}  // namespace convoy::cuda
