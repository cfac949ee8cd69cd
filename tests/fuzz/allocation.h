// Counts what a program allocates by operator new, which allocation.cpp replaces, and from the pool of tensors.
#pragma once

#include <cstddef>
#include <cstdint>

namespace convoy::fuzz {

// While it lives, the process is aborted as soon as more than `bytes` are allocated at once on top of what was
// allocated before. One at a time.
class AllocationLimit {
 public:
  explicit AllocationLimit(size_t bytes);
  ~AllocationLimit();  // adds the pool's share to the peak, and checks once more
  AllocationLimit(const AllocationLimit&) = delete;
  AllocationLimit& operator=(const AllocationLimit&) = delete;

 private:
  size_t limit_;
  int64_t pool_before_;
};

}  // namespace convoy::fuzz
