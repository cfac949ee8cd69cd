#include "tensor/memory_pool.h"

#include <sys/mman.h>

#include <bit>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "tensor/cuda/cuda.h"
#include "tensor/error.h"

namespace convoy {
namespace {

constexpr int64_t kAlignment = 64;
constexpr int64_t kHugePage = int64_t{2} << 20;

// Size classes: eight per power of two, so at most 1/8 of a block is wasted.
int64_t size_class(int64_t bytes) {
  if (bytes <= 512) return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  const int64_t step = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(bytes - 1))) / 8;
  return (bytes + step - 1) / step * step;
}

// Null when there is not enough.
std::byte* system_allocate(Device device, int64_t bytes) {
  if (device.kind == Device::Kind::cuda) return cuda::allocate(device.index, bytes);
  const bool huge = bytes >= kHugePage;
  void* block = nullptr;
  if (posix_memalign(&block, static_cast<size_t>(huge ? kHugePage : kAlignment), static_cast<size_t>(bytes)) != 0) {
    return nullptr;
  }
  if (huge)
    madvise(block, static_cast<size_t>(bytes), MADV_HUGEPAGE);  // advice only: a refusal costs speed, nothing else
  return static_cast<std::byte*>(block);
}

void system_release(Device device, std::byte* block) {
  if (device.kind == Device::Kind::cuda) {
    cuda::release(device.index, block);
  } else {
    std::free(block);
  }
}

using Blocks = std::map<int64_t, std::vector<std::byte*>>;  // by size class

// The memory of one device: a cache of blocks for each stream, on the CPU just one.
class DevicePool {
 public:
  explicit DevicePool(Device device) : device_(device) {}

  std::byte* take(const void* stream, int64_t bytes) {
    const std::lock_guard lock(mutex_);
    std::vector<std::byte*>& blocks = free_[stream][bytes];
    std::byte* block = nullptr;
    if (!blocks.empty()) {
      block = blocks.back();
      blocks.pop_back();
    } else {
      block = system_allocate(device_, bytes);
      if (block == nullptr) {
        release_locked();
        block = system_allocate(device_, bytes);
      }
      if (block == nullptr)
        throw OutOfMemory(fmt::format("{}: out of memory, {} bytes asked for, {} in use", device_.text(), bytes,
                                      statistics_.bytes_in_use));
      statistics_.bytes_from_system += bytes;
      ++statistics_.system_allocations;
    }
    statistics_.bytes_in_use += bytes;
    statistics_.peak_bytes_in_use = std::max(statistics_.peak_bytes_in_use, statistics_.bytes_in_use);
    return block;
  }

  void give_back(const void* stream, std::byte* block, int64_t bytes) {
    const std::lock_guard lock(mutex_);
    free_[stream][bytes].push_back(block);
    statistics_.bytes_in_use -= bytes;
  }

  void keep(const void* stream, bool keep) {
    const std::lock_guard lock(mutex_);
    keep ? static_cast<void>(kept_.insert(stream)) : static_cast<void>(kept_.erase(stream));
  }

  void release() {
    const std::lock_guard lock(mutex_);
    release_locked();
  }

  PoolStatistics statistics() {
    const std::lock_guard lock(mutex_);
    return statistics_;
  }

 private:
  void release_locked() {
    for (auto& [stream, blocks_of_stream] : free_) {
      if (kept_.contains(stream)) continue;
      for (auto& [bytes, blocks] : blocks_of_stream) {
        for (std::byte* block : blocks) system_release(device_, block);
        statistics_.bytes_from_system -= bytes * static_cast<int64_t>(blocks.size());
        blocks.clear();
      }
    }
  }

  Device device_;
  std::mutex mutex_;
  std::map<const void*, Blocks> free_;
  std::set<const void*> kept_;
  PoolStatistics statistics_;
};

// Pools live until the process ends: tensors with static storage duration may outlive every other object.
DevicePool& pool_of(Device device) {
  static DevicePool& cpu = *new DevicePool(Device{});
  if (device.kind == Device::Kind::cpu) return cpu;
  static std::mutex& mutex = *new std::mutex;
  static std::map<int, DevicePool*>& gpus = *new std::map<int, DevicePool*>;
  const std::lock_guard lock(mutex);
  DevicePool*& pool = gpus[device.index];
  if (pool == nullptr) pool = new DevicePool(device);
  return *pool;
}

}  // namespace

std::shared_ptr<std::byte> pool_allocate(Device device, int64_t bytes) {
  if (bytes == 0) return nullptr;
  DevicePool& pool = pool_of(device);
  const void* const stream = current_stream().device == device ? current_stream().handle : nullptr;
  const int64_t block_bytes = size_class(bytes);
  return {pool.take(stream, block_bytes),
          [&pool, stream, block_bytes](std::byte* block) { pool.give_back(stream, block, block_bytes); }};
}

PoolStatistics pool_statistics(Device device) { return pool_of(device).statistics(); }

void pool_keep(const Stream& stream, bool keep) { pool_of(stream.device).keep(stream.handle, keep); }

void pool_release_cache(Device device) { pool_of(device).release(); }

}  // namespace convoy
