#include "tensor/ops.h"

namespace convoy {
namespace {

const Kernels& kernels_of(const Tensor& x) { return kernels(x.device()); }

// Checks that `x` exists, holds `dtype` and lives where `neighbour` does.
void check_operand(const char* operation, const char* role, const Tensor& x, DType dtype, const Tensor& neighbour) {
  CHECK(x.defined(), "{}: {} is undefined", operation, role);
  CHECK(x.dtype() == dtype, "{}: {} is {}, expected {}", operation, role, name_of(x.dtype()), name_of(dtype));
  CHECK(x.device() == neighbour.device(), "{}: {} is on {}, the input on {}", operation, role, x.device().text(),
        neighbour.device().text());
}

// Checks an operand that has to be of the input's type.
void check_operand(const char* operation, const char* role, const Tensor& x, const Tensor& input) {
  check_operand(operation, role, x, input.dtype(), input);
}

void check_input(const char* operation, const Tensor& x) {
  const bool bf16 = x.defined() && x.dtype() == DType::bf16 && x.device().kind == Device::Kind::cuda;
  check_operand(operation, "the input", x, bf16 ? DType::bf16 : DType::f32, x);
}

// Checks a vector with one value per channel; `x` is the tensor it goes with.
void check_vector(const char* operation, const char* role, const Tensor& vector, int64_t channels, const Tensor& x) {
  check_operand(operation, role, vector, DType::f32, x);
  CHECK(vector.shape() == Shape({channels}), "{}: {} is {}, expected [{}] (input {})", operation, role, vector.shape(),
        channels, x.shape());
}

Epilogue epilogue(const Tensor& bias, bool relu) {
  return {.bias = bias.defined() ? bias.data<float>() : nullptr, .relu = relu};
}

// Uninitialised.
BatchStatistics statistics_of(int64_t channels, Device device) {
  return {Tensor::empty({channels}, DType::f32, device), Tensor::empty({channels}, DType::f32, device)};
}

// Rows and columns of x [..., C] seen as a matrix [rows, C].
struct Matrix {
  int64_t rows = 0, columns = 0;
};
Matrix as_matrix(const char* operation, const Tensor& x) {
  check_input(operation, x);
  CHECK(x.rank() >= 2, "{}: input {} has no channel axis, expected [..., C]", operation, x.shape());
  const int64_t columns = x.size(x.rank() - 1);
  return {columns == 0 ? 0 : x.count() / columns, columns};
}

}  // namespace

// --- convolution and products -------------------------------------------------------------------------------------

Conv2dShape conv2d_shape(const Tensor& x, const Tensor& weight, Window stride, Window pad) {
  check_input("conv2d", x);
  check_operand("conv2d", "the weight", weight, x);
  CHECK(x.rank() == 4, "conv2d: input {} is not [N,H,W,C]", x.shape());
  CHECK(weight.rank() == 4, "conv2d: weight {} is not [K,R,S,C]", weight.shape());
  CHECK(x.size(3) == weight.size(3), "conv2d: input has {} channels, weight expects {} (input {}, weight {})",
        x.size(3), weight.size(3), x.shape(), weight.shape());
  CHECK(stride.h >= 1 && stride.w >= 1, "conv2d: stride {}x{}, expected at least 1x1", stride.h, stride.w);
  CHECK(pad.h >= 0 && pad.w >= 0, "conv2d: padding {}x{} is negative", pad.h, pad.w);
  CHECK(weight.size(1) >= 1 && weight.size(2) >= 1, "conv2d: weight {} has no taps", weight.shape());
  CHECK(x.size(1) + 2 * pad.h >= weight.size(1) && x.size(2) + 2 * pad.w >= weight.size(2),
        "conv2d: a {}x{} filter does not fit the image {}x{} padded by {}x{} (input {}, weight {})", weight.size(1),
        weight.size(2), x.size(1), x.size(2), pad.h, pad.w, x.shape(), weight.shape());
  return {.n = x.size(0),
          .h = x.size(1),
          .w = x.size(2),
          .c = x.size(3),
          .k = weight.size(0),
          .r = weight.size(1),
          .s = weight.size(2),
          .stride_h = stride.h,
          .stride_w = stride.w,
          .pad_h = pad.h,
          .pad_w = pad.w};
}

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, Window stride, Window pad, bool relu,
              BatchStatistics* statistics) {
  const Conv2dShape shape = conv2d_shape(x, weight, stride, pad);
  if (bias.defined()) check_vector("conv2d", "the bias", bias, shape.k, x);
  Tensor y = Tensor::empty({shape.n, shape.p(), shape.q(), shape.k}, x.dtype(), x.device());
  Epilogue then = epilogue(bias, relu);
  if (statistics != nullptr) {
    *statistics = statistics_of(shape.k, x.device());
    then.mean = statistics->mean.data<float>();
    then.variance = statistics->variance.data<float>();
  }
  kernels_of(x).conv2d_forward(current_stream(), shape, x, weight, then, y);
  return y;
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, bool relu) {
  check_input("linear", x);
  check_operand("linear", "the weight", weight, x);
  CHECK(x.rank() == 2, "linear: input {} is not [N,in]; flatten it first", x.shape());
  CHECK(weight.rank() == 2, "linear: weight {} is not [out,in]", weight.shape());
  CHECK(x.size(1) == weight.size(1), "linear: input has {} features, weight expects {} (input {}, weight {})",
        x.size(1), weight.size(1), x.shape(), weight.shape());
  const GemmShape shape{.m = x.size(0), .n = weight.size(0), .k = x.size(1), .transpose_b = true};
  if (bias.defined()) check_vector("linear", "the bias", bias, shape.n, x);
  Tensor y = Tensor::empty({shape.m, shape.n}, x.dtype(), x.device());
  kernels_of(x).gemm(current_stream(), shape, x, weight, epilogue(bias, relu), false, y);
  return y;
}

// --- pooling ------------------------------------------------------------------------------------------------------

Pool2dShape pool2d_shape(const char* operation, const Tensor& x, Window size, Window stride, Window pad) {
  check_input(operation, x);
  CHECK(x.rank() == 4, "{}: input {} is not [N,H,W,C]", operation, x.shape());
  CHECK(x.size(1) >= 1 && x.size(2) >= 1, "{}: the image {}x{} has no pixels (input {})", operation, x.size(1),
        x.size(2), x.shape());
  CHECK(size.h >= 1 && size.w >= 1, "{}: window {}x{}, expected at least 1x1", operation, size.h, size.w);
  CHECK(stride.h >= 1 && stride.w >= 1, "{}: stride {}x{}, expected at least 1x1", operation, stride.h, stride.w);
  CHECK(pad.h >= 0 && pad.w >= 0 && 2 * pad.h <= size.h && 2 * pad.w <= size.w,
        "{}: padding {}x{}, expected at most half the window {}x{}", operation, pad.h, pad.w, size.h, size.w);
  CHECK(x.size(1) + 2 * pad.h >= size.h && x.size(2) + 2 * pad.w >= size.w,
        "{}: a {}x{} window does not fit the image {}x{} padded by {}x{} (input {})", operation, size.h, size.w,
        x.size(1), x.size(2), pad.h, pad.w, x.shape());
  return {.n = x.size(0),
          .h = x.size(1),
          .w = x.size(2),
          .c = x.size(3),
          .r = size.h,
          .s = size.w,
          .stride_h = stride.h,
          .stride_w = stride.w,
          .pad_h = pad.h,
          .pad_w = pad.w};
}

static Pool2dShape max_pool2d_shape(const Tensor& x, Window size, Window stride, Window pad) {
  const Pool2dShape shape = pool2d_shape("max_pool2d", x, size, stride, pad);
  CHECK(shape.r * shape.s <= 256, "max_pool2d: window {}x{}, expected at most 256 pixels", size.h, size.w);
  return shape;
}

MaxPool2dResult max_pool2d(const Tensor& x, Window size, Window stride, Window pad) {
  const Pool2dShape shape = max_pool2d_shape(x, size, stride, pad);
  const Shape result{shape.n, shape.p(), shape.q(), shape.c};
  MaxPool2dResult pooled{Tensor::empty(result, x.dtype(), x.device()), Tensor::empty(result, DType::u8, x.device())};
  kernels_of(x).max_pool_forward(current_stream(), shape, x, pooled.y, pooled.index.data<uint8_t>());
  return pooled;
}

Tensor average_pool2d(const Tensor& x, Window size, Window stride, Window pad) {
  const Pool2dShape shape = pool2d_shape("average_pool2d", x, size, stride, pad);
  Tensor y = Tensor::empty({shape.n, shape.p(), shape.q(), shape.c}, x.dtype(), x.device());
  kernels_of(x).average_pool_forward(current_stream(), shape, x, y);
  return y;
}

// --- batch norm ---------------------------------------------------------------------------------------------------

BatchStatistics batch_norm_statistics(const Tensor& x) {
  const Matrix matrix = as_matrix("batch_norm", x);
  BatchStatistics statistics = statistics_of(matrix.columns, x.device());
  kernels_of(x).batch_norm_statistics(current_stream(), matrix.rows, matrix.columns, x, statistics.mean.data<float>(),
                                      statistics.variance.data<float>());
  return statistics;
}

// Checks what x [..., C] is normalised with.
static void check_batch_norm(const Tensor& x, const BatchStatistics& statistics, const Tensor& gamma,
                             const Tensor& beta) {
  const Matrix matrix = as_matrix("batch_norm", x);
  check_vector("batch_norm", "the mean", statistics.mean, matrix.columns, x);
  check_vector("batch_norm", "the variance", statistics.variance, matrix.columns, x);
  check_vector("batch_norm", "gamma", gamma, matrix.columns, x);
  check_vector("batch_norm", "beta", beta, matrix.columns, x);
}

Tensor batch_norm(const Tensor& x, const BatchStatistics& statistics, float epsilon, const Tensor& gamma,
                  const Tensor& beta, bool relu) {
  check_batch_norm(x, statistics, gamma, beta);
  const Matrix matrix = as_matrix("batch_norm", x);
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  kernels_of(x).batch_norm_normalize(current_stream(), matrix.rows, matrix.columns, x, statistics.mean.data<float>(),
                                     statistics.variance.data<float>(), epsilon, gamma.data<float>(),
                                     beta.data<float>(), relu, y);
  return y;
}

bool has_batch_norm_max_pool(const Tensor& x) { return kernels_of(x).batch_norm_max_pool != nullptr; }

BatchNormMaxPool2dResult batch_norm_max_pool2d(const Tensor& x, const BatchStatistics& statistics, float epsilon,
                                               const Tensor& gamma, const Tensor& beta, bool relu, Window size,
                                               bool with_positions) {
  const Pool2dShape shape = max_pool2d_shape(x, size, size, {0, 0});
  CHECK(has_batch_norm_max_pool(x), "batch_norm_max_pool2d: {} has no kernel for it", x.device().text());
  check_batch_norm(x, statistics, gamma, beta);
  const Shape result{shape.n, shape.p(), shape.q(), shape.c};
  BatchNormMaxPool2dResult pooled{.y = Tensor::empty(result, x.dtype(), x.device()), .x_at_max = {}, .index = {}};
  if (with_positions) {
    pooled.x_at_max = Tensor::empty(result, x.dtype(), x.device());
    pooled.index = Tensor::empty(result, DType::u8, x.device());
  }
  kernels_of(x).batch_norm_max_pool(current_stream(), shape, x, statistics.mean.data<float>(),
                                    statistics.variance.data<float>(), epsilon, gamma.data<float>(), beta.data<float>(),
                                    relu, pooled.y, with_positions ? Array(pooled.x_at_max) : nullptr,
                                    with_positions ? pooled.index.data<uint8_t>() : nullptr);
  return pooled;
}

// --- elementwise --------------------------------------------------------------------------------------------------

Tensor convert(const Tensor& x, DType dtype) {
  CHECK(x.defined() && is_array_type(x.dtype()) && is_array_type(dtype), "convert: {} to {}, expected f32 or bf16",
        x.defined() ? name_of(x.dtype()) : "an undefined tensor", name_of(dtype));
  if (x.dtype() == dtype) return x;
  Tensor y = Tensor::empty(x.shape(), dtype, x.device());
  kernels_of(x).convert(current_stream(), x.count(), x, y);
  return y;
}

Tensor apply(Unary function, const Tensor& x) {
  check_input(name_of(function), x);
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  kernels_of(x).unary_forward(current_stream(), function, x.count(), x, y);
  return y;
}

Tensor apply(Binary function, const Tensor& a, const Tensor& b) {
  const char* const operation = name_of(function);
  check_input(operation, a);
  check_operand(operation, "the second input", b, a);
  CHECK(a.shape() == b.shape(), "{}: inputs {} and {} differ in shape", operation, a.shape(), b.shape());
  Tensor y = Tensor::empty(a.shape(), a.dtype(), a.device());
  kernels_of(a).binary_forward(current_stream(), function, a.count(), a, b, y);
  return y;
}

Tensor scale(const Tensor& x, float factor) {
  check_input("scale", x);
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  kernels_of(x).scale(current_stream(), x.count(), factor, x, y);
  return y;
}

Tensor bias_add(const Tensor& x, const Tensor& bias) {
  const Matrix matrix = as_matrix("bias_add", x);
  check_vector("bias_add", "the bias", bias, matrix.columns, x);
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  kernels_of(x).bias_forward(current_stream(), matrix.rows, matrix.columns, x, bias.data<float>(), y);
  return y;
}

Tensor dropout(const Tensor& x, float probability, const RandomKey& key, uint64_t offset) {
  check_input("dropout", x);
  CHECK(probability >= 0 && probability <= 1, "dropout: probability {}, expected 0 to 1", probability);
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  kernels_of(x).dropout(current_stream(), x.count(), probability, key, offset, x, y);
  return y;
}

// --- reductions and loss ------------------------------------------------------------------------------------------

Tensor sum(const Tensor& x) {
  check_input("sum", x);
  Tensor total = Tensor::empty({1}, DType::f32, x.device());
  kernels_of(x).sum(current_stream(), x.count(), convert(x, DType::f32).data<float>(), total.data<float>());
  return total;
}

Tensor argmax(const Tensor& x) {
  check_input("argmax", x);
  CHECK(x.rank() == 2 && x.size(1) >= 1, "argmax: input {} is not [rows, columns] with a column", x.shape());
  Tensor position = Tensor::empty({x.size(0)}, DType::i32, x.device());
  kernels_of(x).argmax(current_stream(), x.size(0), x.size(1), convert(x, DType::f32).data<float>(),
                       position.data<int32_t>());
  return position;
}

int64_t count_nonfinite(const Tensor& x) {
  check_input("count_nonfinite", x);
  Tensor count = Tensor::empty({1}, DType::i32, x.device());
  kernels_of(x).count_nonfinite(current_stream(), x.count(), convert(x, DType::f32).data<float>(),
                                count.data<int32_t>());
  return count.to(Device{}).data<int32_t>()[0];
}

SoftmaxCrossEntropyResult softmax_cross_entropy(const Tensor& logits, const Tensor& labels, float smoothing) {
  check_operand("softmax_cross_entropy", "the input", logits, DType::f32, logits);
  CHECK(logits.rank() == 2 && logits.size(1) >= 1, "softmax_cross_entropy: logits {} are not [N, classes]",
        logits.shape());
  const int64_t rows = logits.size(0), classes = logits.size(1);
  CHECK(labels.defined() && labels.dtype() == DType::i32 && labels.shape() == Shape({rows}),
        "softmax_cross_entropy: labels are {} {}, expected i32 [{}] (logits {})", name_of(labels.dtype()),
        labels.shape(), rows, logits.shape());
  CHECK(labels.device() == logits.device(), "softmax_cross_entropy: labels are on {}, logits on {}",
        labels.device().text(), logits.device().text());
  CHECK(smoothing >= 0 && smoothing <= 1, "softmax_cross_entropy: smoothing {}, expected 0 to 1", smoothing);
  if (labels.device().kind == Device::Kind::cpu) {
    for (int64_t row = 0; row < rows; ++row) {
      const int32_t label = labels.data<int32_t>()[row];
      CHECK(label >= 0 && label < classes, "softmax_cross_entropy: label {} of sample {} is not in [0, {})", label, row,
            classes);
    }
  }
  SoftmaxCrossEntropyResult result{Tensor::empty(logits.shape(), DType::f32, logits.device()),
                                   Tensor::empty({rows}, DType::f32, logits.device())};
  kernels_of(logits).softmax_cross_entropy_forward(current_stream(), rows, classes, logits.data<float>(),
                                                   labels.data<int32_t>(), smoothing, result.probability.data<float>(),
                                                   result.loss.data<float>());
  return result;
}

}  // namespace convoy
