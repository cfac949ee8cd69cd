// What products and their packing do with vectors of floats: whole ones, and the first floats of one.
#pragma once

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include <cstdint>

#include "tensor/cpu/isa.h"

namespace convoy::CONVOY_ISA {

inline Vector load(const float* p) { return *reinterpret_cast<const Vector*>(p); }
inline void store(float* p, Vector v) { *reinterpret_cast<Vector*>(p) = v; }
inline Vector broadcast(float x) { return x - Vector{}; }

#if defined(__AVX512F__)
inline __mmask16 first_lanes(int64_t count) { return static_cast<__mmask16>((1u << count) - 1); }
#elif defined(__AVX2__)
inline __m256i first_lanes(int64_t count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
#endif

// The first `count` floats of a vector, 0 to kVectorFloats. Beyond them nothing is touched, and 0 is read.
inline Vector load_first(const float* p, int64_t count) {
#if defined(__AVX512F__)
  return reinterpret_cast<Vector>(_mm512_maskz_loadu_ps(first_lanes(count), p));
#elif defined(__AVX2__)
  return reinterpret_cast<Vector>(_mm256_maskload_ps(p, first_lanes(count)));
#else
  Vector v{};
  for (int64_t i = 0; i < count; ++i) v[i] = p[i];
  return v;
#endif
}
inline void store_first(float* p, const Vector& v, int64_t count) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, first_lanes(count), reinterpret_cast<__m512>(v));
#elif defined(__AVX2__)
  _mm256_maskstore_ps(p, first_lanes(count), reinterpret_cast<__m256>(v));
#else
  for (int64_t i = 0; i < count; ++i) p[i] = v[i];
#endif
}

// Asks for the cache lines of from[0, count). Addresses that are nobody's do no harm.
inline void prefetch(const float* from, int64_t count) {
  constexpr int64_t kLine = 16;
  for (int64_t i = 0; i < count; i += kLine) __builtin_prefetch(from + i);
}

}  // namespace convoy::CONVOY_ISA
