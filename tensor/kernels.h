// Every kernel Convoy has, on one page. A backend is one constant `Kernels` table: the CPU has one per instruction
// set.
//
// Rules for every row:
// - Pointers are to contiguous row-major memory on the stream's device. An `Array` is f32 or, on a GPU (and for convert), bf16; all Arrays
//   of a call are of one type unless said otherwise. Arithmetic and sums are fp32 in any case, results are rounded once.
//   Shapes stand in the comments, with the letters of conv_shape.h. Kernels check nothing: tensor/ops.h does.
// - `=` overwrites, `+=` accumulates; rows with a flag `accumulate` do the second when it is true.
// - Inputs and outputs do not overlap, except where "in place" is said.
// - Deterministic: the result depends on the arguments alone, never on the number of threads. Long reductions are
//   cut into pieces by the shape and summed in a fixed order.
// - Asynchronous on the stream of a GPU; finished on return on the CPU. Any extent may be 0.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/array.h"
#include "tensor/conv_shape.h"
#include "tensor/device.h"
#include "tensor/functions.h"
#include "tensor/philox.h"

namespace convoy {

// c [m,n] = or += a * b (+ bias [n] in every row) (then ReLU). a is [m,k], or [k,m] when transpose_a; b is [k,n],
// or [n,k] when transpose_b.
struct GemmShape {
  int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
};

// What is done to a convolution's or product's result on its way to memory, in this order.
struct Epilogue {
  // Where gemm_takes_gate(), for gemm alone, when not null: where gate [m,n] is not positive the product counts as 0, also in +=. The
  // backward of a ReLU from its result.
  const float* gate = nullptr;
  const float* bias = nullptr;  // [last axis], added when not null
  bool relu = false;
  // conv2d_forward alone, when not null: = what batch_norm_statistics finds in the result but for rounding, both
  // [last axis].
  float *mean = nullptr, *variance = nullptr;
};

inline bool gemm_takes_gate(Device device) { return device.kind == Device::Kind::cpu; }

// A batch of augmented images: out[i] = (crop(flip(images[index[i]])) / 255 - mean[c]) * inverse_std[c].
struct ImageBatchShape {
  int64_t n = 0, h = 0, w = 0, c = 0;  // of the batch; c at most 4
  int crop_pad = 0;   // > 0: a random h x w window of the image padded by this many zero pixels on each side
  bool flip = false;  // mirror left-right with probability 1/2
  float mean[4] = {}, inverse_std[4] = {1, 1, 1, 1};  // padding is black *before* normalisation, as in torchvision
  RandomKey key;  // stream augment, step = epoch; image j draws at counter j, the index in the data set
};

// One parameter tensor in an optimizer step.
struct ParameterSlice {
  int64_t count = 0;
  float* value = nullptr;           // updated
  const float* gradient = nullptr;  // read
  float* first = nullptr;           // updated; SGD's momentum buffer (null without momentum), Adam's first moment
  float* second = nullptr;          // updated; Adam's second moment
};

// PyTorch's SGD: g += weight_decay * value; first = momentum * first + g (first starts as 0);
// value -= lr * (nesterov ? g + momentum * first : first).
struct SgdStep {
  float lr = 0, momentum = 0, weight_decay = 0;
  bool nesterov = false;
  const float* gradient_scale = nullptr;  // [1] on the device: every gradient is multiplied by it first; null: is not
};

// Adam (Kingma, Ba 2015) and, when decoupled, AdamW (Loshchilov, Hutter 2019). correction1 = 1 - beta1^t,
// correction2 = 1 - beta2^t. value -= lr / correction1 * first / (sqrt(second / correction2) + epsilon).
struct AdamStep {
  double beta1 = 0.9, beta2 = 0.999;  // double, because 1 - beta2 would carry the rounding of 0.999f a thousandfold
  float lr = 0, epsilon = 1e-8f, weight_decay = 0;
  bool decoupled = false;
  float correction1 = 1, correction2 = 1;
  const float* gradient_scale = nullptr;  // as in SgdStep
};

// Most rows of the matrices that gemm_adam_step() multiplies.
inline constexpr int64_t kMostGemmAdamTerms = 256;

struct Kernels {
  const char* name;  // "avx512", "cuda", …

  // --- products ---------------------------------------------------------------------------------------------------
  // c may be f32 where a and b are bf16.
  void (*gemm)(const Stream&, const GemmShape&, ConstArray a, ConstArray b, const Epilogue&, bool accumulate, Array c);

  // --- convolution ------------------------------------------------------------------------------------------------
  // y [N,P,Q,K] = conv(x [N,H,W,C], w [K,R,S,C]), then the epilogue.
  void (*conv2d_forward)(const Stream&, const Conv2dShape&, ConstArray x, ConstArray w, const Epilogue&, Array y);
  // dx [N,H,W,C] = or += the transpose of the map x -> y, applied to dy [N,P,Q,K].
  void (*conv2d_backward_input)(const Stream&, const Conv2dShape&, ConstArray dy, ConstArray w, bool accumulate,
                                Array dx);
  // dw [K,R,S,C] = or += sum over n,p,q of dy [N,P,Q,K] * x [N,H,W,C].
  void (*conv2d_backward_weight)(const Stream&, const Conv2dShape&, ConstArray x, ConstArray dy, bool accumulate,
                                 float* dw);

  // --- pooling ----------------------------------------------------------------------------------------------------
  // H, W >= 1. y [N,P,Q,C] = the largest of each window; index [N,P,Q,C] (u8) = its position r*S + s (R*S <= 256); the first
  // wins a tie, NaN wins all.
  void (*max_pool_forward)(const Stream&, const Pool2dShape&, ConstArray x, Array y, uint8_t* index);
  // dx [N,H,W,C] = or += dy [N,P,Q,C] sent to where each maximum was.
  void (*max_pool_backward)(const Stream&, const Pool2dShape&, ConstArray dy, const uint8_t* index, bool accumulate,
                            Array dx);
  // y [N,P,Q,C] = sum of each window / (R*S), padding counted. Global pooling is the window H x W.
  void (*average_pool_forward)(const Stream&, const Pool2dShape&, ConstArray x, Array y);
  // dx [N,H,W,C] = or += dy [N,P,Q,C] / (R*S), to every pixel of its window.
  void (*average_pool_backward)(const Stream&, const Pool2dShape&, ConstArray dy, bool accumulate, Array dx);

  // --- batch norm: x is [rows, channels], rows = N*H*W ------------------------------------------------------------
  // mean [channels] =, variance [channels] = (biased), by pairwise merging of pieces (Chan, Golub, LeVeque 1979).
  void (*batch_norm_statistics)(const Stream&, int64_t rows, int64_t channels, ConstArray x, float* mean,
                                float* variance);
  // y [rows, channels] = (x - mean) / sqrt(variance + epsilon) * gamma + beta, then ReLU when asked. In place
  // allowed.
  void (*batch_norm_normalize)(const Stream&, int64_t rows, int64_t channels, ConstArray x, const float* mean,
                               const float* variance, float epsilon, const float* gamma, const float* beta, bool relu,
                               Array y);
  // With dz = dy, or dy * (y > 0) when relu, and xhat = (x - mean) / sqrt(variance + epsilon), both [rows,
  // channels]: dgamma [channels] = sum dz * xhat, dbeta [channels] = sum dz. y (the normalised output) is
  // recomputed from x, not read.
  void (*batch_norm_backward_reduce)(const Stream&, int64_t rows, int64_t channels, ConstArray x, ConstArray dy,
                                     const float* mean, const float* variance, float epsilon, const float* gamma,
                                     const float* beta, bool relu, float* dgamma, float* dbeta);
  // dx [rows, channels] = or += gamma / sqrt(variance + epsilon) * (dz - dbeta / total_rows - xhat * dgamma /
  // total_rows), where dgamma and dbeta are the sums over all total_rows rows of the batch (total_rows > rows when
  // it is sharded).
  void (*batch_norm_backward_input)(const Stream&, int64_t rows, int64_t channels, int64_t total_rows, ConstArray x,
                                    ConstArray dy, const float* mean, const float* variance, float epsilon,
                                    const float* gamma, const float* beta, bool relu, const float* dgamma,
                                    const float* dbeta, bool accumulate, Array dx);
  // running = (1 - momentum) * running + momentum * (mean, variance * rows / (rows - 1)), all [channels]; of one row the
  // variance itself.
  void (*batch_norm_update_running)(const Stream&, int64_t rows, int64_t channels, float momentum, const float* mean,
                                    const float* variance, float* running_mean, float* running_variance);

  // --- batch norm, then max pooling in windows side by side (stride = window, no padding); on the CPU, a GPU's table has null ------
  // y and index as max_pool_forward gives them of what batch_norm_normalize makes of x [N,H,W,C]; x_at_max [N,P,Q,C] = x there. As dz
  // is 0 elsewhere, batch_norm_backward_reduce of x_at_max and dy, for a finite x, gives the sums. Null x_at_max, index: not wanted.
  void (*batch_norm_max_pool)(const Stream&, const Pool2dShape&, ConstArray x, const float* mean, const float* variance,
                              float epsilon, const float* gamma, const float* beta, bool relu, Array y, Array x_at_max,
                              uint8_t* index);
  // dx [N,H,W,C] = or += what batch_norm_backward_input makes of what max_pool_backward makes of dy [N,P,Q,C].
  void (*batch_norm_max_pool_backward_input)(const Stream&, const Pool2dShape&, int64_t total_rows, ConstArray x,
                                             ConstArray dy, const uint8_t* index, const float* mean,
                                             const float* variance, float epsilon, const float* gamma,
                                             const float* beta, bool relu, const float* dgamma, const float* dbeta,
                                             bool accumulate, Array dx);

  // --- elementwise ------------------------------------------------------------------------------------------------
  // y [count] = f(x); in place allowed.
  void (*unary_forward)(const Stream&, Unary, int64_t count, ConstArray x, Array y);
  // dx [count] = or += dy * f'(x). For ReLU x may be the result y, whose sign is the same.
  void (*unary_backward)(const Stream&, Unary, int64_t count, ConstArray x, ConstArray dy, bool accumulate, Array dx);
  // y [count] = f(a, b); in place allowed.
  void (*binary_forward)(const Stream&, Binary, int64_t count, ConstArray a, ConstArray b, Array y);
  // da [count] = or += dy * df/da; db [count] = or += dy * df/db. Null da or db: not wanted.
  void (*binary_backward)(const Stream&, Binary, int64_t count, ConstArray a, ConstArray b, ConstArray dy,
                          bool accumulate_a, Array da, bool accumulate_b, Array db);
  // y = x * scale; in place allowed.
  void (*scale)(const Stream&, int64_t count, float scale, ConstArray x, Array y);
  // y = x / (1 - probability) where random_uniform(key, offset + i) >= probability, else 0; in place allowed. Its
  // own backward with the same key.
  void (*dropout)(const Stream&, int64_t count, float probability, const RandomKey&, uint64_t offset, ConstArray x,
                  Array y);
  void (*fill)(const Stream&, int64_t count, float value, Array y);
  // y = x, in y's type, which may be another.
  void (*convert)(const Stream&, int64_t count, ConstArray x, Array y);

  // --- bias and reductions ----------------------------------------------------------------------------------------
  // y [rows, columns] = x + bias [columns]; in place allowed.
  void (*bias_forward)(const Stream&, int64_t rows, int64_t columns, ConstArray x, const float* bias, Array y);
  // out [columns] = or += sum over rows of x [rows, columns].
  void (*column_sum)(const Stream&, int64_t rows, int64_t columns, ConstArray x, bool accumulate, float* out);
  // The backward of "add bias, then ReLU", from the result y: dz = dy where y > 0, else 0; dbias [columns] = or +=
  // sum over rows of dz. All others [rows, columns]; dz may be dy itself. dbias may be null.
  void (*bias_relu_backward)(const Stream&, int64_t rows, int64_t columns, ConstArray y, ConstArray dy, Array dz,
                             bool accumulate, float* dbias);
  // out [1] = sum of x [count].
  void (*sum)(const Stream&, int64_t count, const float* x, float* out);
  // out [rows] (i32) = position of the largest of each row of x [rows, columns]; the first wins a tie.
  void (*argmax)(const Stream&, int64_t rows, int64_t columns, const float* x, int32_t* out);
  // out [1] (i32) = how many of x [count] are infinite or NaN.
  void (*count_nonfinite)(const Stream&, int64_t count, const float* x, int32_t* out);

  // --- loss -------------------------------------------------------------------------------------------------------
  // For each row: probability [rows, classes] = softmax(logits), loss [rows] = cross entropy against (1 -
  // smoothing) * onehot(label) + smoothing / classes. labels [rows] (i32) in [0, classes).
  void (*softmax_cross_entropy_forward)(const Stream&, int64_t rows, int64_t classes, const float* logits,
                                        const int32_t* labels, float smoothing, float* probability, float* loss);
  // dlogits [rows, classes] = or += (probability - target) * (*dloss) * scale. dloss [1] on the device; scale is 1
  // / rows for a mean.
  void (*softmax_cross_entropy_backward)(const Stream&, int64_t rows, int64_t classes, const float* probability,
                                         const int32_t* labels, float smoothing, const float* dloss, float scale,
                                         bool accumulate, float* dlogits);

  // --- optimizers: all parameters in one pass ---------------------------------------------------------------------
  void (*sgd_step)(const Stream&, const SgdStep&, std::span<const ParameterSlice>);
  void (*adam_step)(const Stream&, const AdamStep&, std::span<const ParameterSlice>);
  // adam_step() of the matrix `weight` [m,n] by the gradient a^T * b, a [k,m], b [k,n], k at most kMostGemmAdamTerms, with the bits
  // that gemm() and adam_step() give. The gradient is not stored, and weight.gradient not read; it has no scale. On the
  // CPU; a GPU's table has null.
  void (*gemm_adam_step)(const Stream&, int64_t m, int64_t n, int64_t k, ConstArray a, ConstArray b, const AdamStep&,
                         const ParameterSlice& weight);
  // scale [1] = min(1, max_norm / (norm + 1e-6)), norm being the L2 norm of all gradients together: PyTorch's
  // clip_grad_norm_ (https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html). NaN where the
  // norm is NaN.
  void (*clip_scale)(const Stream&, float max_norm, std::span<const ParameterSlice>, float* scale);
  // first += rate * (value - first): one step of an exponential moving average of the values. Nothing else is read.
  void (*average_step)(const Stream&, float rate, std::span<const ParameterSlice>);

  // --- data -------------------------------------------------------------------------------------------------------
  // out [N,H,W,C] = augmented, normalised images (u8 [data set,H,W,C]) chosen by index [N] (i32).
  void (*image_batch)(const Stream&, const ImageBatchShape&, const uint8_t* images, const int32_t* index, Array out);
};

// The table for a device. On the CPU: the best instruction set it has, or the one that CONVOY_ISA (portable, avx2,
// avx512) names; throws Error(device) for one it has not. Chosen once.
const Kernels& kernels(Device device);

// The tables this CPU can run, slowest first: what the tests iterate over.
std::span<const Kernels* const> cpu_kernel_tables();

// Replaces the CPU's table for the rest of the process (tests and benchmarks compare instruction sets with it). Not
// thread-safe.
void set_cpu_kernels(const Kernels& table);

}  // namespace convoy
