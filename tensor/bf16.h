// bfloat16: the upper half of a float, 8 bits of exponent and 7 of fraction. It is stored and moved; arithmetic is done
// in fp32.
#pragma once

#include <cstdint>
#include <cstring>

#include "tensor/host_device.h"

namespace convoy {

struct Bf16 {
  uint16_t bits;
};

CONVOY_HOST_DEVICE inline float to_float(float x) { return x; }
CONVOY_HOST_DEVICE inline float to_float(Bf16 x) {
  const uint32_t bits = static_cast<uint32_t>(x.bits) << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// x rounded to the nearest Bf16, to even in the middle; NaN stays NaN.
CONVOY_HOST_DEVICE inline Bf16 to_bf16(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return {static_cast<uint16_t>(x != x ? 0x7FFF : (bits + 0x7FFF + (bits >> 16 & 1)) >> 16)};
}

// to = x, rounded to what it is.
CONVOY_HOST_DEVICE inline void assign(float& to, float x) { to = x; }
CONVOY_HOST_DEVICE inline void assign(Bf16& to, float x) { to = to_bf16(x); }

}  // namespace convoy
