// Bytes around a piece of memory that nobody may touch. Under AddressSanitizer an access ends the program at once; else
// a write is found when the zone is looked at. A float read from it is NaN, and so is a bf16.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tests/cuda_emulation/sanitizer.h"

namespace convoy::emulation {

constexpr size_t kGuardZoneBytes = 512;

// FE FF FE FF …, from an even address on: unlike the 0xFF of uninitialised memory.
constexpr auto kGuardPattern = [] {
  std::array<unsigned char, kGuardZoneBytes + 1> bytes{};
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = i % 2 == 0 ? 0xFE : 0xFF;
  return bytes;
}();

inline const unsigned char* guard_pattern(const void* zone) {
  return kGuardPattern.data() + reinterpret_cast<uintptr_t>(zone) % 2;
}

inline void make_guard_zone(void* zone) {
  allow_access(zone, kGuardZoneBytes);
  std::memcpy(zone, guard_pattern(zone), kGuardZoneBytes);
  forbid_access(zone, kGuardZoneBytes);
}

inline bool guard_zone_intact(const void* zone) {
  return kAddressSanitizer || std::memcmp(zone, guard_pattern(zone), kGuardZoneBytes) == 0;
}

}  // namespace convoy::emulation
