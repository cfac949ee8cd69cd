// W floats side by side, for code that handles a run of channels or columns in registers of falling width:
// kVectorFloats, then 4, then 1.
#pragma once

#include <cstdint>

#include "tensor/cpu/isa.h"

namespace convoy::CONVOY_ISA {

template <int W>
struct Lanes {
  static constexpr int kWidth = W;
  typedef float Value __attribute__((vector_size(W * sizeof(float))));
  typedef int32_t Int __attribute__((vector_size(W * sizeof(int32_t))));

  // Through memcpy: neither alignment nor aliasing is assumed.
  static Value load(const float* p) {
    Value v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
  }
  static void store(float* p, const Value& v) { __builtin_memcpy(p, &v, sizeof v); }
  // Through an array, which the compiler turns into one widening or narrowing instruction where there is one.
  static Int load_bytes(const uint8_t* p) {
    int32_t values[W];
    for (int i = 0; i < W; ++i) values[i] = p[i];
    Int v;
    __builtin_memcpy(&v, values, sizeof v);
    return v;
  }
  static void store_bytes(uint8_t* p, const Int& v) {
    int32_t values[W];
    __builtin_memcpy(values, &v, sizeof v);
    for (int i = 0; i < W; ++i) p[i] = static_cast<uint8_t>(values[i]);
  }
};

template <>
struct Lanes<1> {
  static constexpr int kWidth = 1;
  using Value = float;
  using Int = int32_t;

  static float load(const float* p) { return *p; }
  static void store(float* p, float v) { *p = v; }
  static int32_t load_bytes(const uint8_t* p) { return *p; }
  static void store_bytes(uint8_t* p, int32_t v) { *p = static_cast<uint8_t>(v); }
};

// Calls body.operator()<Lane>(c) for runs of Lane::kWidth channels that together cover [begin, end).
template <class Body>
inline void for_lanes(int64_t begin, int64_t end, Body&& body) {
  int64_t c = begin;
  for (; c + kVectorFloats <= end; c += kVectorFloats) body.template operator()<Lanes<kVectorFloats>>(c);
  for (; c + 4 <= end; c += 4) body.template operator()<Lanes<4>>(c);
  for (; c < end; ++c) body.template operator()<Lanes<1>>(c);
}

// for_lanes() for a body that may be called twice for a channel: the last run of 4 then ends with the last channel, instead of leaving
// single ones.
template <class Body>
inline void for_lanes_repeatable(int64_t begin, int64_t end, Body&& body) {
  int64_t c = begin;
  for (; c + kVectorFloats <= end; c += kVectorFloats) body.template operator()<Lanes<kVectorFloats>>(c);
  if (end - begin < 4) return for_lanes(c, end, body);
  for (; c < end; c += 4) body.template operator()<Lanes<4>>(c + 4 <= end ? c : end - 4);
}

// Of a vector's elements or of one float; NaN stays NaN, because it is not less.
template <class Value>
[[gnu::always_inline]] inline Value relu(Value x) {
  return x < Value{} ? Value{} : x;
}

// Where `value` takes the place of the largest before it: where it is larger, or the first NaN.
template <class Value>
[[gnu::always_inline]] inline auto exceeds(Value value, Value largest) {
  return ((value <= largest) == 0) & (largest == largest);
}

// x where `gate` is positive, else 0: the backward of a ReLU from its result.
template <class Value>
[[gnu::always_inline]] inline Value gated(Value x, Value gate) {
  return gate > Value{} ? x : Value{};
}

}  // namespace convoy::CONVOY_ISA
