// Caching allocator: memory that a tensor gives back is kept for the next tensor of that size class, so a training
// step in steady state asks the system for nothing. Thread-safe. Blocks are 64-byte aligned (256-byte on a GPU); host
// blocks of 2 MiB and more ask for huge pages.
//
// On a GPU every stream has a cache of its own: a block given back by the host, while kernels that use it are still
// queued, can then only be taken for work queued after them. Hence a tensor is used on the stream it was made on, or
// elsewhere after a synchronize() or in the order of events (cuda::Event).
#pragma once

#include <cstdint>
#include <memory>

#include "tensor/device.h"

namespace convoy {

struct PoolStatistics {
  int64_t bytes_from_system = 0;  // held in total, in use or cached
  int64_t bytes_in_use = 0;       // held by live tensors
  int64_t peak_bytes_in_use = 0;
  int64_t system_allocations = 0;  // calls to the system's allocator so far
};

// `bytes` of uninitialised memory on `device`, for work on current_stream() when that is a stream of it; the block
// returns to the cache with the last owner. Null for zero bytes. Throws OutOfMemory.
std::shared_ptr<std::byte> pool_allocate(Device device, int64_t bytes);

PoolStatistics pool_statistics(Device device);  // over all its streams

// Whether cached blocks of this stream stay its own, whatever is released: recorded work uses them.
void pool_keep(const Stream& stream, bool keep);

// Returns all other cached blocks of the device to the system.
void pool_release_cache(Device device);

}  // namespace convoy
