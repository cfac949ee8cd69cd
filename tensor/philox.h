// Philox 4x32-10, a counter-based random number generator: a draw is a pure function of a key and a counter, so it
// is the same on every device, for any number of threads and workers, and after a resume. Salmon, Moraes, Dror,
// Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
//
//   RandomKey key{.seed = 7, .stream = RandomStream::dropout, .step = 120};
//   float u = random_uniform(key, element);   // in [0, 1)
#pragma once

#include <cstdint>

#include "tensor/host_device.h"

namespace convoy {

// Independent purposes draw from independent streams.
enum class RandomStream : uint32_t { initialise = 1, shuffle = 2, augment = 3, dropout = 4, synthetic = 5, split = 6 };

struct RandomKey {
  uint64_t seed = 0;
  RandomStream stream = RandomStream::initialise;
  uint32_t step = 0;    // epoch or training step
  uint32_t member = 0;  // which layer or tensor draws, at most 2^24 - 1
};

struct Random4 {
  uint32_t v[4];
};

// The four 32-bit words at position `counter` of the key's sequence.
CONVOY_HOST_DEVICE inline Random4 philox(const RandomKey& key, uint64_t counter) {
  uint32_t c0 = static_cast<uint32_t>(counter), c1 = static_cast<uint32_t>(counter >> 32);
  uint32_t c2 = key.step, c3 = static_cast<uint32_t>(key.stream) << 24 | (key.member & 0xFFFFFFu);
  uint32_t k0 = static_cast<uint32_t>(key.seed), k1 = static_cast<uint32_t>(key.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53u} * c0, b = uint64_t{0xCD9E8D57u} * c2;
    c0 = static_cast<uint32_t>(b >> 32) ^ c1 ^ k0;
    c1 = static_cast<uint32_t>(b);
    c2 = static_cast<uint32_t>(a >> 32) ^ c3 ^ k1;
    c3 = static_cast<uint32_t>(a);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// 24 random bits as a float in [0, 1).
CONVOY_HOST_DEVICE inline float unit_float(uint32_t word) {
  return static_cast<float>(word >> 8) * (1.0f / 16777216.0f);
}

// Element `index` of the key's sequence of uniform floats in [0, 1); four neighbours share one Philox call.
CONVOY_HOST_DEVICE inline float random_uniform(const RandomKey& key, uint64_t index) {
  return unit_float(philox(key, index / 4).v[index % 4]);
}

// An unbiased-to-2^-32 integer in [0, bound), bound > 0, from one 32-bit word.
CONVOY_HOST_DEVICE inline uint32_t random_below(uint32_t word, uint32_t bound) {
  return static_cast<uint32_t>((uint64_t{word} * bound) >> 32);
}

}  // namespace convoy
