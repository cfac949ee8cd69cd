// The memory of the emulated devices, and pinned host memory: who owns which address. Thread-safe.
//
// New memory is 0xFF, NaN as floats, and lies between guard zones.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace convoy::emulation {

constexpr int kPinnedHost = -1;  // an owner; devices are 0, 1, …

struct Allocation {
  unsigned char* begin = nullptr;
  size_t bytes = 0;
  int owner = 0;

  bool contains(const void* pointer, size_t count) const;  // [pointer, pointer + count)
};

// Aligned to 256 bytes. Null when the device has no room for it.
void* allocate(int owner, size_t bytes);

// False when `pointer` is not what allocate(owner, …) returned.
bool release(int owner, void* pointer);
void release_all(int owner);

// The allocation that `pointer` lies in.
std::optional<Allocation> find_allocation(const void* pointer);

size_t bytes_in_use(int owner);
size_t bytes_of_each_device();  // CONVOY_EMULATED_MEMORY

// "" or which of the owner's allocations was written beside, found once.
std::string find_damage(int owner);

}  // namespace convoy::emulation
