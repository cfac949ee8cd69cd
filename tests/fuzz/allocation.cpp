#include "tests/fuzz/allocation.h"

#include <malloc.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "tensor/memory_pool.h"

namespace convoy::fuzz {
namespace {

std::atomic<int64_t> live{0}, peak{0};  // bytes
std::atomic<int64_t> allowed{INT64_MAX};

[[noreturn]] void give_up(int64_t bytes, int64_t limit) {
  allowed = INT64_MAX;
  std::fprintf(stderr, "fuzz: %lld bytes allocated at once, more than the %lld in proportion to the input\n",
               static_cast<long long>(bytes), static_cast<long long>(limit));
  std::abort();
}

void* allocate(size_t bytes) {
  const int64_t limit = allowed.load(std::memory_order_relaxed);
  if (bytes > static_cast<size_t>(limit)) give_up(static_cast<int64_t>(bytes), limit);
  void* const block = std::malloc(bytes == 0 ? 1 : bytes);
  if (block == nullptr) return nullptr;
  const int64_t size = static_cast<int64_t>(malloc_usable_size(block));
  const int64_t now = live.fetch_add(size, std::memory_order_relaxed) + size;
  if (now > peak.load(std::memory_order_relaxed)) peak.store(now, std::memory_order_relaxed);
  if (now > limit) give_up(now, limit);
  return block;
}

void* allocate_or_throw(size_t bytes) {
  void* const block = allocate(bytes);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

void release(void* block) {
  if (block == nullptr) return;
  live.fetch_sub(static_cast<int64_t>(malloc_usable_size(block)), std::memory_order_relaxed);
  std::free(block);
}

}  // namespace

AllocationLimit::AllocationLimit(size_t bytes) : limit_(bytes) {
  // All that the pool takes from the system from here on is new.
  pool_release_cache(Device{});
  pool_before_ = pool_statistics(Device{}).bytes_from_system;
  live = peak = 0;
  allowed = static_cast<int64_t>(bytes);
}

AllocationLimit::~AllocationLimit() {
  allowed = INT64_MAX;
  const int64_t pool = pool_statistics(Device{}).bytes_from_system - pool_before_;
  if (peak + pool > static_cast<int64_t>(limit_)) give_up(peak + pool, static_cast<int64_t>(limit_));
}

}  // namespace convoy::fuzz

// All that a program may use of the replaceable functions, but for those of extended alignment.
void* operator new(size_t bytes) { return convoy::fuzz::allocate_or_throw(bytes); }
void* operator new[](size_t bytes) { return convoy::fuzz::allocate_or_throw(bytes); }
void* operator new(size_t bytes, const std::nothrow_t&) noexcept { return convoy::fuzz::allocate(bytes); }
void* operator new[](size_t bytes, const std::nothrow_t&) noexcept { return convoy::fuzz::allocate(bytes); }
void operator delete(void* block) noexcept { convoy::fuzz::release(block); }
void operator delete[](void* block) noexcept { convoy::fuzz::release(block); }
void operator delete(void* block, size_t) noexcept { convoy::fuzz::release(block); }
void operator delete[](void* block, size_t) noexcept { convoy::fuzz::release(block); }
void operator delete(void* block, const std::nothrow_t&) noexcept { convoy::fuzz::release(block); }
void operator delete[](void* block, const std::nothrow_t&) noexcept { convoy::fuzz::release(block); }
