// What every kernel should compute: the formulas of tensor/kernels.h as plain loops in double precision,
// written for reading. Arrays are row-major std::vector<double> of the shapes given there; functions return
// what the kernel writes with `=`. The loops are in reference.cpp, which is optimised and without sanitizers in every build.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/kernels.h"

namespace convoy::reference {

using Values = std::vector<double>;

inline Values widen(const float* values, int64_t count) { return Values(values, values + count); }
inline Values widen(const std::vector<float>& values) { return Values(values.begin(), values.end()); }

// x rounded to the 8 significant bits of a bf16 (fewer below 2^-126), to even in the middle.
double bf16(double x);

inline size_t at(int64_t index) { return static_cast<size_t>(index); }
inline Values zeros(int64_t count) { return Values(at(count)); }

// --- products -----------------------------------------------------------------------------------------------------

// c [m,n] = (accumulate into) a * b, + bias [n] when not empty, then ReLU. `c` is what to accumulate into, or
// empty.
Values gemm(const GemmShape& s, const Values& a, const Values& b, Values c = {}, const Values& bias = {},
            bool relu = false);

// --- convolution --------------------------------------------------------------------------------------------------

Values conv2d_forward(const Conv2dShape& s, const Values& x, const Values& w, const Values& bias = {},
                      bool relu = false);

// Both backward functions add to what they are given, or to zeros when it is empty.
Values conv2d_backward_input(const Conv2dShape& s, const Values& dy, const Values& w, Values dx = {});
Values conv2d_backward_weight(const Conv2dShape& s, const Values& x, const Values& dy, Values dw = {});

// --- pooling ------------------------------------------------------------------------------------------------------

struct MaxPool {
  Values y;
  std::vector<uint8_t> index;
};

MaxPool max_pool_forward(const Pool2dShape& s, const Values& x);
Values max_pool_backward(const Pool2dShape& s, const Values& dy, const std::vector<uint8_t>& index, Values dx = {});
Values average_pool_forward(const Pool2dShape& s, const Values& x);
Values average_pool_backward(const Pool2dShape& s, const Values& dy, Values dx = {});

// --- batch norm: x [rows, channels] -------------------------------------------------------------------------------

struct Moments {
  Values mean, variance;
};

Moments batch_norm_statistics(int64_t rows, int64_t channels, const Values& x);
Values batch_norm_normalize(int64_t rows, int64_t channels, const Values& x, const Moments& m, double epsilon,
                            const Values& gamma, const Values& beta, bool relu = false);

struct BatchNormSums {
  Values dgamma, dbeta;
};

BatchNormSums batch_norm_backward_reduce(int64_t rows, int64_t channels, const Values& x, const Values& dy,
                                         const Moments& m, double epsilon, const Values& gamma, const Values& beta,
                                         bool relu = false);
Values batch_norm_backward_input(int64_t rows, int64_t channels, int64_t total_rows, const Values& x, const Values& dy,
                                 const Moments& m, double epsilon, const Values& gamma, const Values& beta, bool relu,
                                 const BatchNormSums& sums, Values dx = {});
Moments batch_norm_update_running(int64_t rows, double momentum, const Moments& batch, Moments running);

// --- elementwise --------------------------------------------------------------------------------------------------

double derivative_a(Binary function, double a, double b);
double derivative_b(Binary function, double a, double b);
Values unary_forward(Unary function, const Values& x);
Values unary_backward(Unary function, const Values& x, const Values& dy, Values dx = {});
Values binary_forward(Binary function, const Values& a, const Values& b);
Values dropout(float probability, const RandomKey& key, uint64_t offset, const Values& x);

// --- bias and reductions ------------------------------------------------------------------------------------------

Values bias_forward(int64_t columns, const Values& x, const Values& bias);
Values column_sum(int64_t rows, int64_t columns, const Values& x, Values out = {});
Values relu_backward(const Values& y, const Values& dy);
std::vector<int32_t> argmax(int64_t rows, int64_t columns, const Values& x);

// --- loss ---------------------------------------------------------------------------------------------------------

double target(int64_t classes, int64_t j, int32_t label, double smoothing);

struct CrossEntropy {
  Values probability, loss;
};

CrossEntropy softmax_cross_entropy_forward(int64_t rows, int64_t classes, const Values& logits,
                                           const std::vector<int32_t>& labels, double smoothing);
Values softmax_cross_entropy_backward(int64_t rows, int64_t classes, const Values& probability,
                                      const std::vector<int32_t>& labels, double smoothing, double dloss, double scale,
                                      Values dlogits = {});

// --- optimizers: one parameter; moments are updated in place ------------------------------------------------------

void sgd_step(const SgdStep& step, Values& value, const Values& gradient, Values& momentum_buffer);
void adam_step(const AdamStep& step, Values& value, const Values& gradient, Values& first, Values& second);

// What brings gradients, all parameters' one after the other, to a norm of at most `max_norm`.
double clip_scale(float max_norm, const Values& gradients);

// --- data ---------------------------------------------------------------------------------------------------------

Values image_batch(const ImageBatchShape& s, const std::vector<uint8_t>& images, const std::vector<int32_t>& index);

}  // namespace convoy::reference
