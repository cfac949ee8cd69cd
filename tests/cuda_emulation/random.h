// The generator behind every shuffled order. splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number
// generators", 2014): one addition and a mix, because a block draws a dozen times.
#pragma once

#include <cstdint>

namespace convoy::emulation {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  // In [0, count), count >= 1. The slight bias towards small values does not matter here.
  uint64_t below(uint64_t count) { return next() % count; }

 private:
  uint64_t state_;
};

}  // namespace convoy::emulation
