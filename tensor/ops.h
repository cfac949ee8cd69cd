// Operations on Tensors, without gradients: they check their arguments, allocate the result and run the
// kernel of the tensors' device on current_stream(). autograd/autograd.h has functions of the same names on
// Variables, which record gradients.
//
// All throw Error(usage) that names the operation and the shapes. The letters stand in conv_shape.h. A "bias"
// may be undefined: none.
//
// Tensors are f32 or, on a GPU, bf16; a result is of its input's type. Vectors over the channels (biases, statistics,
// gamma and beta) are f32, and so are the results of reductions and losses.
#pragma once

#include "tensor/kernels.h"
#include "tensor/tensor.h"

namespace convoy {

struct Window {  // height, width
  int64_t h = 1, w = 1;
};

struct BatchStatistics {
  Tensor mean, variance;  // [C], the variance biased
};

// The shape of the convolution of x [N,H,W,C] with weight [K,R,S,C]; throws unless channels match and the
// filter fits the padded image.
Conv2dShape conv2d_shape(const Tensor& x, const Tensor& weight, Window stride, Window pad);
// x [N,H,W,C], weight [K,R,S,C] of x's type, bias [K] -> [N,P,Q,K], then ReLU when asked. `statistics`, when not null,
// becomes what batch_norm_statistics() finds in the result, for less.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, Window stride, Window pad, bool relu = false,
              BatchStatistics* statistics = nullptr);

// x [N,in], weight [out,in] of x's type, bias [out] -> x * weight^T + bias [N,out], then ReLU when asked.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, bool relu = false);

// The shape of pooling x [N,H,W,C]; throws unless the image has a pixel, padding is at most half the window and the
// window fits the padded image: then every window holds a pixel.
Pool2dShape pool2d_shape(const char* operation, const Tensor& x, Window size, Window stride, Window pad);
struct MaxPool2dResult {
  Tensor y;      // [N,P,Q,C]
  Tensor index;  // u8 [N,P,Q,C]: the position of the maximum in its window
};
// Windows have at most 256 pixels.
MaxPool2dResult max_pool2d(const Tensor& x, Window size, Window stride, Window pad);
// [N,P,Q,C]; padded pixels count.
Tensor average_pool2d(const Tensor& x, Window size, Window stride, Window pad);

// Per channel (last axis) of x [..., C]; statistics are over everything else.
BatchStatistics batch_norm_statistics(const Tensor& x);
// (x - mean) / sqrt(variance + epsilon) * gamma + beta, then ReLU when asked. gamma, beta [C].
Tensor batch_norm(const Tensor& x, const BatchStatistics& statistics, float epsilon, const Tensor& gamma,
                  const Tensor& beta, bool relu = false);

// Whether x's device has kernels for batch_norm_max_pool2d(): the CPU.
bool has_batch_norm_max_pool(const Tensor& x);
struct BatchNormMaxPool2dResult {
  Tensor y;         // [N,P,Q,C]
  Tensor x_at_max;  // [N,P,Q,C]: x where the maximum is
  Tensor index;     // u8 [N,P,Q,C]: the position of the maximum in its window
};
// max_pool2d() of batch_norm() of x [N,H,W,C], in windows side by side of at most 256 pixels; without `with_positions` y alone.
BatchNormMaxPool2dResult batch_norm_max_pool2d(const Tensor& x, const BatchStatistics& statistics, float epsilon,
                                               const Tensor& gamma, const Tensor& beta, bool relu, Window size,
                                               bool with_positions);

Tensor convert(const Tensor& x, DType dtype);  // f32 or bf16; x itself when it is of that type
Tensor apply(Unary function, const Tensor& x);
Tensor apply(Binary function, const Tensor& a, const Tensor& b);  // same shapes
Tensor scale(const Tensor& x, float factor);
Tensor bias_add(const Tensor& x, const Tensor& bias);  // x [..., C], bias [C]
// The formula is in kernels.h.
Tensor dropout(const Tensor& x, float probability, const RandomKey& key, uint64_t offset = 0);

Tensor sum(const Tensor& x);               // all elements -> [1]
Tensor argmax(const Tensor& x);            // x [rows, columns] -> i32 [rows]; the first wins a tie
int64_t count_nonfinite(const Tensor& x);  // infinite or NaN elements; waits for the device

struct SoftmaxCrossEntropyResult {
  Tensor probability;  // [N, classes]
  Tensor loss;         // [N], per sample
};
// logits f32 [N, classes], labels i32 [N] in [0, classes), smoothing in [0, 1]. Labels in host memory are
// checked.
SoftmaxCrossEntropyResult softmax_cross_entropy(const Tensor& logits, const Tensor& labels, float smoothing = 0);

}  // namespace convoy
