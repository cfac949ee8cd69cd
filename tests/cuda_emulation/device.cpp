#include "tests/cuda_emulation/device.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/cuda_emulation/emulation.h"
#include "tests/cuda_emulation/memory.h"

namespace convoy::emulation {
namespace {

constexpr int kMaxDevices = 16;

struct Devices {
  EmulatedDevice all[kMaxDevices];

  Devices() {
    for (int i = 0; i < kMaxDevices; ++i) {
      all[i].index = i;
      all[i].streams.push_back(new CUstream_st{.device = &all[i]});
    }
    const char* const text = std::getenv("CONVOY_EMULATION_SEED");
    seed(text != nullptr ? std::strtoull(text, nullptr, 10) : 1);
  }

  void seed(uint64_t seed) {
    Random of_devices(seed);
    for (EmulatedDevice& device : all) {
      const std::lock_guard lock(device.mutex);
      device.random = Random(of_devices.next());
    }
  }
};

// Never destroyed: work may be done as late as in destructors of static objects.
Devices& devices() {
  static Devices* const only = new Devices;
  return *only;
}

thread_local int chosen_device = 0;
thread_local cudaError_t last_error = cudaSuccess;

bool idle(const EmulatedDevice& device) {
  for (const CUstream_st* stream : device.streams) {
    if (!stream->queue.empty()) return false;
  }
  return true;
}

}  // namespace

int visible_devices() {
  const char* const text = std::getenv("CONVOY_EMULATED_GPUS");
  return text == nullptr ? 1 : std::min(std::atoi(text), kMaxDevices);
}

EmulatedDevice& device_at(int index) { return devices().all[index]; }

int current_device() { return chosen_device; }

EmulatedDevice* usable_device(cudaError_t& error) {
  error = cudaErrorNoDevice;
  if (visible_devices() < 1) return nullptr;
  EmulatedDevice& device = device_at(chosen_device);
  const std::lock_guard lock(device.mutex);
  error = device.error;
  return error == cudaSuccess ? &device : nullptr;
}

CUstream_st& stream_of(cudaStream_t handle) {
  return handle != nullptr ? *handle : *device_at(chosen_device).streams.front();
}

cudaError_t remember(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

void set_seed(uint64_t seed) { devices().seed(seed); }

std::string failure() {
  EmulatedDevice& device = device_at(chosen_device);
  const std::lock_guard lock(device.mutex);
  return device.failure;
}

}  // namespace convoy::emulation

using namespace convoy::emulation;

cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }

cudaError_t cudaGetDeviceCount(int* count) {
  *count = std::max(visible_devices(), 0);
  return remember(*count > 0 ? cudaSuccess : cudaErrorNoDevice);
}

cudaError_t cudaSetDevice(int device) {
  if (visible_devices() < 1) return remember(cudaErrorNoDevice);
  if (device < 0 || device >= visible_devices()) return remember(cudaErrorInvalidDevice);
  chosen_device = device;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  *device = chosen_device;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device < 0 || device >= visible_devices()) return remember(cudaErrorInvalidDevice);
  *properties = {.name = "emulated GPU",
                 .totalGlobalMem = bytes_of_each_device(),
                 .sharedMemPerBlockOptin = kMaxSharedBytes,
                 .multiProcessorCount = 4,
                 .major = 9,
                 .minor = 0};
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  cudaError_t error;
  EmulatedDevice* const device = usable_device(error);
  if (device == nullptr) return remember(error);
  if (capture_forbids_waiting()) return remember(cudaErrorStreamCaptureUnsupported);
  return remember(finish_device(*device));
}

cudaError_t cudaDeviceReset() {
  if (visible_devices() < 1) return remember(cudaErrorNoDevice);
  EmulatedDevice& device = device_at(chosen_device);
  const std::lock_guard lock(device.mutex);
  for (CUstream_st* stream : device.streams) {
    for (const Entry& entry : stream->queue) {
      if (entry.reached != nullptr) entry.reached->done = true;
    }
    stream->queue.clear();
  }
  release_all(device.index);
  device.error = cudaSuccess;
  device.failure.clear();
  last_error = cudaSuccess;
  return cudaSuccess;
}

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
#define NAME(error) \
  case error:       \
    return #error;
    NAME(cudaSuccess)
    NAME(cudaErrorInvalidValue)
    NAME(cudaErrorMemoryAllocation)
    NAME(cudaErrorInvalidConfiguration)
    NAME(cudaErrorInsufficientDriver)
    NAME(cudaErrorNoDevice)
    NAME(cudaErrorInvalidDevice)
    NAME(cudaErrorInvalidResourceHandle)
    NAME(cudaErrorNotReady)
    NAME(cudaErrorLaunchFailure)
    NAME(cudaErrorNotSupported)
    NAME(cudaErrorStreamCaptureUnsupported)
    NAME(cudaErrorStreamCaptureInvalidated)
    NAME(cudaErrorStreamCaptureUnmatched)
    NAME(cudaErrorCapturedEvent)
#undef NAME
  }
  return "unrecognized error code";
}

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInvalidConfiguration: return "invalid configuration argument";
    case cudaErrorInsufficientDriver: return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    case cudaErrorInvalidResourceHandle: return "invalid resource handle";
    case cudaErrorNotReady: return "device not ready";
    case cudaErrorLaunchFailure: return "unspecified launch failure";
    case cudaErrorNotSupported: return "operation not supported";
    case cudaErrorStreamCaptureUnsupported: return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated: return "operation failed due to a previous error during capture";
    case cudaErrorStreamCaptureUnmatched: return "capture was not initiated in this stream";
    case cudaErrorCapturedEvent: return "operation not permitted on an event last recorded in a capturing stream";
  }
  return "unrecognized error code";
}
