#include "tests/cuda_emulation/device.h"

#include <algorithm>
#include <utility>

#include "tests/cuda_emulation/emulation.h"
#include "tests/cuda_emulation/environment.h"
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
    seed(number_from_environment("CONVOY_EMULATION_SEED", 1));
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

}  // namespace

int visible_devices() {
  return static_cast<int>(std::min<uint64_t>(number_from_environment("CONVOY_EMULATED_GPUS", 1), kMaxDevices));
}

EmulatedDevice& device_at(int index) { return devices().all[index]; }

void wake_all_devices() {
  for (EmulatedDevice& device : devices().all) {
    // Whoever is about to wait either sees what has changed or waits by the time of the call below.
    { const std::lock_guard lock(device.mutex); }
    device.changed.notify_all();
  }
}

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
                 .sharedMemPerBlockOptin = shared_bytes_per_block(),
                 .multiProcessorCount = 4,
                 .major = 9,
                 .minor = 0};
  return cudaSuccess;
}

cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer) {
  for (const int index : {device, peer}) {
    if (index < 0 || index >= visible_devices()) return remember(cudaErrorInvalidDevice);
  }
  *can = device != peer;
  return cudaSuccess;
}

cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags) {
  if (flags != 0) return remember(cudaErrorInvalidValue);
  cudaError_t error;
  EmulatedDevice* const device = usable_device(error);
  if (device == nullptr) return remember(error);
  if (peer < 0 || peer >= visible_devices() || peer == device->index) return remember(cudaErrorInvalidDevice);
  const std::lock_guard lock(device->mutex);
  if ((device->peers >> peer & 1) != 0) return remember(cudaErrorPeerAccessAlreadyEnabled);
  device->peers |= 1u << peer;
  return cudaSuccess;
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
  device.peers = 0;
  device.changed.notify_all();
  last_error = cudaSuccess;
  return cudaSuccess;
}
