// Caching allocator: memory that a tensor gives back is kept for the next tensor of that size class, so a training
// step in steady state asks the system for nothing. Thread-safe. Blocks are 64-byte aligned; blocks of 2 MiB and
// more ask for huge pages.
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

// `bytes` of uninitialised memory on `device`; the block returns to the pool with the last owner. Null for zero
// bytes. Throws Error(device) when the memory cannot be had.
std::shared_ptr<std::byte> pool_allocate(Device device, int64_t bytes);

PoolStatistics pool_statistics(Device device);

// Returns all cached blocks to the system.
void pool_release_cache(Device device);

}  // namespace convoy
