// Initial values of parameters, as PyTorch's layers draw them by default.
#pragma once

#include "tensor/philox.h"
#include "tensor/tensor.h"

namespace convoy {

// What a layer's reset_parameters() fills: each parameter of a layer draws from its own part of the layer's
// sequence.
enum class ParameterRole : uint64_t { weight = 0, bias = 1 };

// values (f32) = uniform in [-1/sqrt(fan_in), 1/sqrt(fan_in)): PyTorch's kaiming_uniform(a = sqrt(5)) for
// weights and its rule for the biases of convolutions and linears. He, Zhang, Ren, Sun, "Delving deep into
// rectifiers", 2015.
void fill_kaiming_uniform(Tensor& values, const RandomKey& key, ParameterRole role, int64_t fan_in);

// values (f32) = value.
void fill_constant(Tensor& values, float value);

}  // namespace convoy
