// Numbers that look random and are a formula, so that a test and a script in another language make the same ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace convoy {

// n values in [0, 1): element i is the top 24 bits of splitmix64's (i+1)-th output from `seed`, over 2^24.
// https://prng.di.unimi.it/splitmix64.c
inline std::vector<float> uniform(uint64_t seed, int64_t n) {
  std::vector<float> values(static_cast<size_t>(n));
  for (size_t i = 0; i < values.size(); ++i) {
    uint64_t z = seed + (i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    values[i] = static_cast<float>(z >> 40) / 16777216.0f;
  }
  return values;
}

}  // namespace convoy
