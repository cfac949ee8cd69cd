// Half-precision numbers as single-precision ones.
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace convoy {

// The value of IEEE 754's binary16: 1 bit of sign, 5 of exponent, 10 of fraction. Exact; NaN stays NaN.
float float_of_f16(uint16_t bits);

// A bf16 or f16 tensor as f32, on the CPU, exactly; others as they are.
Tensor widened(const Tensor& tensor);

}  // namespace convoy
