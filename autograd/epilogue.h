// What conv2d and linear share: weights in the type of activations, an optional bias, and the backward of their fused
// "add bias, then ReLU".
#pragma once

#include "autograd/variable.h"

namespace convoy {

// The value of an optional variable; undefined where the variable is.
Tensor value_or_none(const Variable& variable);

// The weight in the type of the activations that it meets; one that x's type has no use for is left as it is, for the
// operation to refuse.
Tensor weight_for(const Tensor& x, const Variable& weight);

// For y = z + bias, or relu(z + bias) when y is defined (it may be left undefined otherwise): returns dz, the
// gradient of z, from dy, and adds its column sums to the gradient of bias. y, dy, dz [..., C], bias [C].
// Without a ReLU, and where dy is gated already, dz is dy itself.
Tensor bias_relu_backward(const Tensor& y, const Variable& bias, const Variable::Gradient& gradient);

}  // namespace convoy
