#include "tensor/widen.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "tensor/bf16.h"

namespace convoy {

float float_of_f16(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16, exponent = bits >> 10 & 0x1F,
                 fraction = bits & 0x3FF;
  if (exponent == 0) {  // zero, or a number below 2^-14, which f32 holds as a normal one
    const float magnitude = std::ldexp(static_cast<float>(fraction), -24);
    return sign != 0 ? -magnitude : magnitude;
  }
  const uint32_t widened_exponent = exponent == 0x1F ? 0xFF : exponent + (127 - 15);
  return std::bit_cast<float>(sign | widened_exponent << 23 | fraction << 13);
}

Tensor widened(const Tensor& tensor) {
  if (tensor.dtype() != DType::bf16 && tensor.dtype() != DType::f16) return tensor;
  const Tensor host = tensor.to(Device{});
  Tensor wide = Tensor::empty(host.shape(), DType::f32, Device{});
  const bool f16 = host.dtype() == DType::f16;
  std::transform(host.data<uint16_t>(), host.data<uint16_t>() + host.count(), wide.data<float>(),
                 [f16](uint16_t bits) { return f16 ? float_of_f16(bits) : to_float(Bf16{bits}); });
  return wide;
}

}  // namespace convoy
