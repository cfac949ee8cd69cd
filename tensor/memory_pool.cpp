#include "tensor/memory_pool.h"

#include <sys/mman.h>

#include <bit>
#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>

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

std::byte* system_allocate(int64_t bytes) {
  const bool huge = bytes >= kHugePage;
  void* block = nullptr;
  if (posix_memalign(&block, static_cast<size_t>(huge ? kHugePage : kAlignment), static_cast<size_t>(bytes)) != 0) {
    return nullptr;
  }
  if (huge)
    madvise(block, static_cast<size_t>(bytes), MADV_HUGEPAGE);  // advice only: a refusal costs speed, nothing else
  return static_cast<std::byte*>(block);
}

class CpuPool {
 public:
  std::byte* take(int64_t bytes) {
    const std::lock_guard lock(mutex_);
    std::vector<std::byte*>& blocks = free_[bytes];
    std::byte* block = nullptr;
    if (!blocks.empty()) {
      block = blocks.back();
      blocks.pop_back();
    } else {
      block = system_allocate(bytes);
      if (block == nullptr) {
        release_locked();
        block = system_allocate(bytes);
      }
      if (block == nullptr) fail(ErrorKind::device, "cpu: out of memory, {} bytes asked for", bytes);
      statistics_.bytes_from_system += bytes;
      ++statistics_.system_allocations;
    }
    statistics_.bytes_in_use += bytes;
    statistics_.peak_bytes_in_use = std::max(statistics_.peak_bytes_in_use, statistics_.bytes_in_use);
    return block;
  }

  void give_back(std::byte* block, int64_t bytes) {
    const std::lock_guard lock(mutex_);
    free_[bytes].push_back(block);
    statistics_.bytes_in_use -= bytes;
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
    for (auto& [bytes, blocks] : free_) {
      for (std::byte* block : blocks) std::free(block);
      statistics_.bytes_from_system -= bytes * static_cast<int64_t>(blocks.size());
      blocks.clear();
    }
  }

  std::mutex mutex_;
  std::map<int64_t, std::vector<std::byte*>> free_;
  PoolStatistics statistics_;
};

// Lives until the process ends: tensors with static storage duration may outlive every other object.
CpuPool& cpu_pool() {
  static CpuPool& pool = *new CpuPool;
  return pool;
}

void check_cpu(Device device) {
  if (device.kind != Device::Kind::cpu) fail(ErrorKind::device, "{}: this build has no CUDA backend", device.text());
}

}  // namespace

std::shared_ptr<std::byte> pool_allocate(Device device, int64_t bytes) {
  check_cpu(device);
  if (bytes == 0) return nullptr;
  const int64_t block_bytes = size_class(bytes);
  return {cpu_pool().take(block_bytes), [block_bytes](std::byte* block) { cpu_pool().give_back(block, block_bytes); }};
}

PoolStatistics pool_statistics(Device device) {
  check_cpu(device);
  return cpu_pool().statistics();
}

void pool_release_cache(Device device) {
  check_cpu(device);
  cpu_pool().release();
}

}  // namespace convoy
