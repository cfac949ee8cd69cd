// Launches: what the hardware would refuse, and the way of a kernel into its stream.
#include <algorithm>
#include <mutex>
#include <unordered_map>

#include "tests/cuda_emulation/device.h"
#include "tests/cuda_emulation/environment.h"
#include "tests/cuda_emulation/memory.h"
#include "tests/cuda_emulation/report.h"

namespace convoy::emulation {
namespace {

constexpr size_t kSharedBytesWithoutAsking = 48 << 10;

struct SharedBytesAsked {
  std::mutex mutex;
  std::unordered_map<const void*, size_t> of_kernel;
};

SharedBytesAsked& shared_bytes_asked() {
  static SharedBytesAsked* const only = new SharedBytesAsked;
  return *only;
}

size_t shared_bytes_allowed(const void* kernel) {
  SharedBytesAsked& asked = shared_bytes_asked();
  const std::lock_guard lock(asked.mutex);
  const auto found = asked.of_kernel.find(kernel);
  return found == asked.of_kernel.end() ? kSharedBytesWithoutAsking : found->second;
}

bool within(const dim3& extents, const dim3& limits) {
  return extents.x >= 1 && extents.y >= 1 && extents.z >= 1 && extents.x <= limits.x && extents.y <= limits.y &&
         extents.z <= limits.z;
}

}  // namespace

size_t shared_bytes_per_block() {
  static const size_t bytes =
      std::min<size_t>(number_from_environment("CONVOY_EMULATED_SHARED_MEMORY", kMaxSharedBytes), kMaxSharedBytes);
  return bytes;
}

cudaError_t enqueue_launch(const cudaLaunchConfig_t& config, const void* kernel, std::function<void()> body) {
  cudaError_t error;
  EmulatedDevice* const device = usable_device(error);
  if (device == nullptr) return remember(error);
  const dim3 &grid = config.gridDim, &block = config.blockDim;
  if (!within(grid, dim3(2147483647, 65535, 65535)) || !within(block, dim3(1024, 1024, 64)) ||
      size_t{block.x} * block.y * block.z > kMaxThreads)
    return remember(cudaErrorInvalidConfiguration);
  if (config.dynamicSmemBytes > kSharedBytesWithoutAsking && config.dynamicSmemBytes > shared_bytes_allowed(kernel))
    return remember(cudaErrorInvalidValue);
  CUstream_st& stream = stream_of(config.stream);
  if (stream.device != device) return remember(cudaErrorInvalidResourceHandle);

  const auto launch = std::make_shared<Launch>(Launch{.kernel = kernel,
                                                      .grid = grid,
                                                      .block = block,
                                                      .shared_bytes = config.dynamicSmemBytes,
                                                      .body = std::move(body)});
  return remember(enqueue(stream, {.work = [launch, device] {
                            std::string wrong = run_blocks(*launch, device->random);
                            if (wrong.empty()) {
                              wrong = find_damage(device->index);
                              if (!wrong.empty()) wrong = kernel_name(launch->kernel) + ": " + wrong;
                            }
                            return wrong;
                          }}));
}

}  // namespace convoy::emulation

using namespace convoy::emulation;

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 ||
      static_cast<size_t>(value) > shared_bytes_per_block())
    return remember(cudaErrorInvalidValue);
  SharedBytesAsked& asked = shared_bytes_asked();
  const std::lock_guard lock(asked.mutex);
  asked.of_kernel[kernel] = static_cast<size_t>(value);
  return cudaSuccess;
}
