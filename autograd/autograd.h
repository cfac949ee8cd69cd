// Every differentiable function, on one page. Each stands in autograd/<its file>.cpp with its forward and
// backward on one screen. All throw Error(usage) that names the function and the shapes when the arguments do
// not fit. x, y: activations [N,H,W,C] or [N,features].
#pragma once

#include "autograd/variable.h"
#include "tensor/ops.h"

namespace convoy {

// conv2d.cpp: x [N,H,W,C], w [K,R,S,C], bias [K] or undefined -> [N,P,Q,K], then ReLU when asked (fused). `statistics`,
// when not null, becomes the result's, for a batch_norm() of it.
Variable conv2d(const Variable& x, const Variable& weight, const Variable& bias, Window stride, Window pad,
                bool relu = false, BatchStatistics* statistics = nullptr);

// linear.cpp: x [N,in], weight [out,in], bias [out] or undefined -> x * weight^T + bias [N,out], then ReLU
// when asked (fused).
Variable linear(const Variable& x, const Variable& weight, const Variable& bias, bool relu = false);

// pool2d.cpp: [N,H,W,C] -> [N,P,Q,C]. Padding is at most half the window; the average counts padded pixels.
Variable max_pool2d(const Variable& x, Window size, Window stride, Window pad);
Variable average_pool2d(const Variable& x, Window size, Window stride, Window pad);
Variable global_average_pool2d(const Variable& x);  // [N,H,W,C] -> [N,1,1,C]

// batch_norm.cpp: per channel (last axis), then ReLU when asked (fused). Training uses the batch's own
// statistics and updates running_mean and running_variance [C] with `momentum`; otherwise the running ones
// are used. Throws when a training batch has one value per channel. Under a BatchExchange (batch_exchange.h) "the batch"
// is all its parts.
struct BatchNormState {
  Tensor running_mean, running_variance;
  float momentum = 0.1f, epsilon = 1e-5f;
};
// `known`, when not null: the statistics of x, for training.
Variable batch_norm(const Variable& x, const Variable& gamma, const Variable& beta, BatchNormState& state,
                    bool training, bool relu = false, const BatchStatistics* known = nullptr);
// max_pool2d() of that in windows side by side, x [N,H,W,C]. On the CPU the normalised image is not stored.
Variable batch_norm_max_pool2d(const Variable& x, const Variable& gamma, const Variable& beta, BatchNormState& state,
                               bool training, bool relu, Window size, const BatchStatistics* known = nullptr);

// elementwise.cpp
Variable apply(Unary function, const Variable& x);
Variable apply(Binary function, const Variable& a, const Variable& b);  // same shapes
inline Variable relu(const Variable& x) { return apply(Unary::relu, x); }
inline Variable add(const Variable& a, const Variable& b) { return apply(Binary::add, a, b); }
Variable convert(const Variable& x, DType dtype);  // f32 or bf16
Variable scale(const Variable& x, float factor);
Variable bias_add(const Variable& x, const Variable& bias);  // x [..., C], bias [C]

// dropout.cpp: each element survives with probability 1 - probability and is scaled up to keep the mean;
// element i draws at offset + i of the key.
Variable dropout(const Variable& x, float probability, const RandomKey& key, uint64_t offset = 0);

// shape.cpp: same elements, another shape.
Variable reshape(const Variable& x, const Shape& shape);
Variable flatten(const Variable& x);  // [N, ...] -> [N, rest]

// reduce.cpp: all elements -> [1].
Variable sum(const Variable& x);
Variable mean(const Variable& x);

// softmax_cross_entropy.cpp: logits [N,classes], labels i32 [N] in [0, classes) -> the mean loss [1]. For a part of a
// batch of `samples`: its share of their mean, the sum of its losses / samples; 0: these are all.
Variable softmax_cross_entropy(const Variable& logits, const Tensor& labels, float smoothing = 0, int64_t samples = 0);

}  // namespace convoy
