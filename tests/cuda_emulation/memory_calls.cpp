// cudaMalloc and its kin, copies and fills.
#include <cstring>
#include <vector>

#include "tests/cuda_emulation/device.h"
#include "tests/cuda_emulation/memory.h"

namespace convoy::emulation {
namespace {

struct Side {
  bool on_device = false, pinned = false, fits = true;
};

Side side_of(const void* pointer, size_t bytes) {
  const std::optional<Allocation> allocation = find_allocation(pointer);
  if (!allocation) return {};
  return {.on_device = allocation->owner != kPinnedHost,
          .pinned = allocation->owner == kPinnedHost,
          .fits = allocation->contains(pointer, bytes)};
}

bool lies_in(int device, const void* pointer, size_t bytes) {
  const std::optional<Allocation> allocation = find_allocation(pointer);
  return allocation && allocation->owner == device && allocation->contains(pointer, bytes);
}

bool matches(cudaMemcpyKind kind, bool from_device, bool to_device) {
  switch (kind) {
    case cudaMemcpyHostToHost:
      return !from_device && !to_device;
    case cudaMemcpyHostToDevice:
      return !from_device && to_device;
    case cudaMemcpyDeviceToHost:
      return from_device && !to_device;
    case cudaMemcpyDeviceToDevice:
      return from_device && to_device;
    case cudaMemcpyDefault:
      return true;
  }
  return false;
}

Work copy_later(void* to, const void* from, size_t bytes) {
  return [to, from, bytes] {
    std::memmove(to, from, bytes);
    return std::string();
  };
}

cudaError_t allocate_for(int owner, void** pointer, size_t bytes) {
  *pointer = nullptr;
  cudaError_t error;
  if (usable_device(error) == nullptr) return remember(error);
  if (capture_forbids_waiting()) return remember(cudaErrorStreamCaptureUnsupported);
  if (bytes == 0) return cudaSuccess;
  *pointer = allocate(owner, bytes);
  return remember(*pointer != nullptr ? cudaSuccess : cudaErrorMemoryAllocation);
}

}  // namespace
}  // namespace convoy::emulation

using namespace convoy::emulation;

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  cudaError_t error;
  EmulatedDevice* const device = usable_device(error);
  if (device == nullptr) return remember(error);
  *total = bytes_of_each_device();
  const size_t used = bytes_in_use(device->index);
  *free = used < *total ? *total - used : 0;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** pointer, size_t bytes) { return allocate_for(current_device(), pointer, bytes); }

cudaError_t cudaMallocHost(void** pointer, size_t bytes) { return allocate_for(kPinnedHost, pointer, bytes); }

cudaError_t cudaFree(void* pointer) {
  if (pointer == nullptr) return cudaSuccess;
  if (capture_forbids_waiting()) return remember(cudaErrorStreamCaptureUnsupported);
  const std::optional<Allocation> allocation = find_allocation(pointer);
  if (!allocation || allocation->owner == kPinnedHost || allocation->begin != pointer)
    return remember(cudaErrorInvalidValue);
  const cudaError_t error = finish_device(device_at(allocation->owner));
  release(allocation->owner, pointer);
  return remember(error);
}

cudaError_t cudaFreeHost(void* pointer) {
  if (pointer == nullptr) return cudaSuccess;
  const std::optional<Allocation> allocation = find_allocation(pointer);
  if (!allocation || allocation->owner != kPinnedHost || allocation->begin != pointer)
    return remember(cudaErrorInvalidValue);
  cudaError_t error = cudaSuccess;
  for (int i = 0; i < visible_devices() && error == cudaSuccess; ++i) error = finish_device(device_at(i));
  release(kPinnedHost, pointer);
  return remember(error);
}

cudaError_t cudaMemsetAsync(void* pointer, int value, size_t bytes, cudaStream_t handle) {
  const Side side = side_of(pointer, bytes);
  if (bytes > 0 && (!side.on_device || !side.fits)) return remember(cudaErrorInvalidValue);
  return remember(enqueue(stream_of(handle), {.work = [pointer, value, bytes] {
                            std::memset(pointer, value, bytes);
                            return std::string();
                          }}));
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t handle) {
  if (bytes == 0) return cudaSuccess;
  const Side source = side_of(from, bytes), target = side_of(to, bytes);
  if (!matches(kind, source.on_device, target.on_device) || !source.fits || !target.fits)
    return remember(cudaErrorInvalidValue);
  CUstream_st& stream = stream_of(handle);
  // A graph reads the host's memory anew at every launch.
  if (target.on_device && !source.on_device && !source.pinned && stream.capture == nullptr) {
    const auto* const bytes_now = static_cast<const unsigned char*>(from);
    return remember(enqueue(stream, {.work = [to, taken = std::vector(bytes_now, bytes_now + bytes)] {
                              std::memcpy(to, taken.data(), taken.size());
                              return std::string();
                            }}));
  }
  return remember(enqueue(stream, {.work = copy_later(to, from, bytes)}));
}

cudaError_t cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device, size_t bytes,
                                cudaStream_t handle) {
  if (bytes == 0) return cudaSuccess;
  if (!lies_in(to_device, to, bytes) || !lies_in(from_device, from, bytes)) return remember(cudaErrorInvalidValue);
  return remember(enqueue(stream_of(handle), {.work = copy_later(to, from, bytes)}));
}
