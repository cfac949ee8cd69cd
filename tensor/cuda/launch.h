// The one way a kernel is launched, and the one place where CUDA's errors become Convoy's.
//
//   launch("fill", stream, grid_for(count), fill_kernel, count, value, y);
//
// Kernels take plain pointers and structs by value. Shared memory is dynamic: a kernel asks dynamic_shared<T>()
// (intrinsics.cuh) for the bytes that `Grid::shared_bytes` set aside.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <utility>

#include "tensor/device.h"

namespace convoy::cuda {

// Throws Error(device) "cuda: <what>: <CUDA's words>" unless the call succeeded.
void check(cudaError_t status, const char* what);

// The handle behind a Stream whose device is a GPU; makes that device the calling thread's.
cudaStream_t enter(const Stream& stream);

// How much shared memory a block may ask for on the stream's device: 227 KiB on an H100, 99 KiB on the GPUs of desktops.
size_t most_shared_bytes(const Stream& stream);

// All memory of the stream's device.
int64_t device_bytes(const Stream& stream);

struct Grid {
  dim3 blocks;
  unsigned threads = 256;
  size_t shared_bytes = 0;
};

// Blocks of `threads` that cover `count` items, `per_thread` to a thread. At most 2^20 blocks: kernels over arrays
// walk on in steps of the whole grid.
inline Grid grid_for(int64_t count, int64_t per_thread = 1, unsigned threads = 256) {
  const int64_t items = per_thread * threads, blocks = (count + items - 1) / items;
  return {.blocks = dim3(static_cast<unsigned>(blocks < (1 << 20) ? blocks : (1 << 20))), .threads = threads};
}

// Enqueues the kernel on the stream; an empty grid enqueues nothing.
template <class... Parameters, class... Arguments>
void launch(const char* name, const Stream& stream, const Grid& grid, void (*kernel)(Parameters...),
            Arguments&&... arguments) {
  if (grid.blocks.x == 0 || grid.blocks.y == 0 || grid.blocks.z == 0) return;
  cudaLaunchConfig_t config = {};
  config.gridDim = grid.blocks;
  config.blockDim = dim3(grid.threads);
  config.dynamicSmemBytes = grid.shared_bytes;
  config.stream = enter(stream);
  constexpr size_t kWithoutAsking = 48 << 10;
  if (grid.shared_bytes > kWithoutAsking) {
    check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(grid.shared_bytes)),
          name);
  }
  check(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(std::forward<Arguments>(arguments))...), name);
}

}  // namespace convoy::cuda
