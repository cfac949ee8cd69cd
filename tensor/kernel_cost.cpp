#include "tensor/kernel_cost.h"

namespace convoy::cost_of {
namespace {

double f64(int64_t count) { return static_cast<double>(count); }

// So many elements of an array, moved once; 0 for an array that is not there.
double bytes(ConstArray array, int64_t count) {
  return array.data == nullptr ? 0 : f64(count) * static_cast<double>(size_in_bytes(array.dtype));
}
double f32(int64_t count) { return f64(count) * 4; }

// An output that is written, and read before when accumulated into.
double result(ConstArray array, int64_t count, bool accumulate) { return bytes(array, count) * (accumulate ? 2 : 1); }

double epilogue(const Epilogue& then, int64_t columns) {
  return f32(columns) * ((then.bias != nullptr) + (then.mean != nullptr) + (then.variance != nullptr));
}

struct ConvolutionCounts {
  int64_t x, w, y;  // elements
};
ConvolutionCounts counts(const Conv2dShape& s) {
  return {s.n * s.h * s.w * s.c, s.k * s.taps(), s.output_pixels() * s.k};
}

int64_t inputs(const Pool2dShape& s) { return s.n * s.h * s.w * s.c; }
int64_t outputs(const Pool2dShape& s) { return s.n * s.p() * s.q() * s.c; }

int64_t parameters(std::span<const ParameterSlice> slices) {
  int64_t count = 0;
  for (const ParameterSlice& slice : slices) count += slice.count;
  return count;
}

}  // namespace

// --- products -----------------------------------------------------------------------------------------------------

KernelCost gemm(const GemmShape& s, ConstArray a, ConstArray b, const Epilogue& then, bool accumulate, Array c) {
  const double gate = then.gate != nullptr ? f32(s.m * s.n) : 0;
  return {2 * f64(s.m) * f64(s.n) * f64(s.k),
          bytes(a, s.m * s.k) + bytes(b, s.k * s.n) + gate + epilogue(then, s.n) + result(c, s.m * s.n, accumulate)};
}

KernelCost conv2d_forward(const Conv2dShape& s, ConstArray x, ConstArray w, const Epilogue& then, Array y) {
  const ConvolutionCounts n = counts(s);
  return {2 * f64(s.multiply_adds()), bytes(x, n.x) + bytes(w, n.w) + epilogue(then, s.k) + bytes(y, n.y)};
}

KernelCost conv2d_backward_input(const Conv2dShape& s, ConstArray dy, ConstArray w, bool accumulate, Array dx) {
  const ConvolutionCounts n = counts(s);
  return {2 * f64(s.multiply_adds()), bytes(dy, n.y) + bytes(w, n.w) + result(dx, n.x, accumulate)};
}

KernelCost conv2d_backward_weight(const Conv2dShape& s, ConstArray x, ConstArray dy, bool accumulate, float* dw) {
  const ConvolutionCounts n = counts(s);
  return {2 * f64(s.multiply_adds()), bytes(x, n.x) + bytes(dy, n.y) + result(dw, n.w, accumulate)};
}

// --- pooling ------------------------------------------------------------------------------------------------------

KernelCost max_pool_forward(const Pool2dShape& s, ConstArray x, Array y, uint8_t*) {
  return {0, bytes(x, inputs(s)) + bytes(y, outputs(s)) + f64(outputs(s))};
}

KernelCost max_pool_backward(const Pool2dShape& s, ConstArray dy, const uint8_t*, bool accumulate, Array dx) {
  return {0, bytes(dy, outputs(s)) + f64(outputs(s)) + result(dx, inputs(s), accumulate)};
}

KernelCost average_pool_forward(const Pool2dShape& s, ConstArray x, Array y) {
  return {0, bytes(x, inputs(s)) + bytes(y, outputs(s))};
}

KernelCost average_pool_backward(const Pool2dShape& s, ConstArray dy, bool accumulate, Array dx) {
  return {0, bytes(dy, outputs(s)) + result(dx, inputs(s), accumulate)};
}

// --- batch norm ---------------------------------------------------------------------------------------------------

KernelCost batch_norm_statistics(int64_t rows, int64_t channels, ConstArray x, float*, float*) {
  return {0, bytes(x, rows * channels) + f32(2 * channels)};
}

KernelCost batch_norm_normalize(int64_t rows, int64_t channels, ConstArray x, const float*, const float*, float,
                                const float*, const float*, bool, Array y) {
  return {0, bytes(x, rows * channels) + f32(4 * channels) + bytes(y, rows * channels)};
}

KernelCost batch_norm_backward_reduce(int64_t rows, int64_t channels, ConstArray x, ConstArray dy, const float*,
                                      const float*, float, const float*, const float*, bool, float*, float*) {
  return {0, bytes(x, rows * channels) + bytes(dy, rows * channels) + f32(6 * channels)};
}

KernelCost batch_norm_backward_input(int64_t rows, int64_t channels, int64_t, ConstArray x, ConstArray dy, const float*,
                                     const float*, float, const float*, const float*, bool, const float*, const float*,
                                     bool accumulate, Array dx) {
  const int64_t count = rows * channels;
  return {0, bytes(x, count) + bytes(dy, count) + f32(6 * channels) + result(dx, count, accumulate)};
}

KernelCost batch_norm_update_running(int64_t, int64_t channels, float, const float*, const float*, float*, float*) {
  return {0, f32(6 * channels)};
}

KernelCost batch_norm_max_pool(const Pool2dShape& s, ConstArray x, const float*, const float*, float, const float*,
                               const float*, bool, Array y, Array x_at_max, uint8_t* index) {
  return {0, bytes(x, inputs(s)) + f32(4 * s.c) + bytes(y, outputs(s)) + bytes(x_at_max, outputs(s)) +
                 (index != nullptr ? f64(outputs(s)) : 0)};
}

KernelCost batch_norm_max_pool_backward_input(const Pool2dShape& s, int64_t, ConstArray x, ConstArray dy,
                                              const uint8_t*, const float*, const float*, float, const float*,
                                              const float*, bool, const float*, const float*, bool accumulate,
                                              Array dx) {
  return {0, bytes(x, inputs(s)) + bytes(dy, outputs(s)) + f64(outputs(s)) + f32(6 * s.c) +
                 result(dx, inputs(s), accumulate)};
}

// --- elementwise --------------------------------------------------------------------------------------------------

KernelCost unary_forward(Unary, int64_t count, ConstArray x, Array y) { return {0, bytes(x, count) + bytes(y, count)}; }

KernelCost unary_backward(Unary, int64_t count, ConstArray x, ConstArray dy, bool accumulate, Array dx) {
  return {0, bytes(x, count) + bytes(dy, count) + result(dx, count, accumulate)};
}

KernelCost binary_forward(Binary, int64_t count, ConstArray a, ConstArray b, Array y) {
  return {0, bytes(a, count) + bytes(b, count) + bytes(y, count)};
}

KernelCost binary_backward(Binary, int64_t count, ConstArray a, ConstArray b, ConstArray dy, bool accumulate_a,
                           Array da, bool accumulate_b, Array db) {
  return {0, bytes(a, count) + bytes(b, count) + bytes(dy, count) + result(da, count, accumulate_a) +
                 result(db, count, accumulate_b)};
}

KernelCost scale(int64_t count, float, ConstArray x, Array y) { return {0, bytes(x, count) + bytes(y, count)}; }

KernelCost dropout(int64_t count, float, const RandomKey&, uint64_t, ConstArray x, Array y) {
  return {0, bytes(x, count) + bytes(y, count)};
}

KernelCost fill(int64_t count, float, Array y) { return {0, bytes(y, count)}; }

KernelCost convert(int64_t count, ConstArray x, Array y) { return {0, bytes(x, count) + bytes(y, count)}; }

// --- bias and reductions ------------------------------------------------------------------------------------------

KernelCost bias_forward(int64_t rows, int64_t columns, ConstArray x, const float*, Array y) {
  return {0, bytes(x, rows * columns) + f32(columns) + bytes(y, rows * columns)};
}

KernelCost column_sum(int64_t rows, int64_t columns, ConstArray x, bool accumulate, float* out) {
  return {0, bytes(x, rows * columns) + result(out, columns, accumulate)};
}

KernelCost bias_relu_backward(int64_t rows, int64_t columns, ConstArray y, ConstArray dy, Array dz, bool accumulate,
                              float* dbias) {
  const int64_t count = rows * columns;
  return {0, bytes(y, count) + bytes(dy, count) + bytes(dz, count) + result(dbias, columns, accumulate)};
}

KernelCost sum(int64_t count, const float*, float*) { return {0, f32(count + 1)}; }

KernelCost argmax(int64_t rows, int64_t columns, const float*, int32_t*) { return {0, f32(rows * columns + rows)}; }

KernelCost count_nonfinite(int64_t count, const float*, int32_t*) { return {0, f32(count + 1)}; }

// --- loss ---------------------------------------------------------------------------------------------------------

KernelCost softmax_cross_entropy_forward(int64_t rows, int64_t classes, const float*, const int32_t*, float, float*,
                                         float*) {
  return {0, f32(2 * rows * classes + 2 * rows)};
}

KernelCost softmax_cross_entropy_backward(int64_t rows, int64_t classes, const float*, const int32_t*, float,
                                          const float*, float, bool accumulate, float* dlogits) {
  return {0, f32(rows * classes + rows) + result(dlogits, rows * classes, accumulate)};
}

// --- optimizers ---------------------------------------------------------------------------------------------------

KernelCost sgd_step(const SgdStep&, std::span<const ParameterSlice> slices) {
  int64_t moved = 0;  // the value is read and written, the gradient read, the momentum read and written
  for (const ParameterSlice& slice : slices) moved += slice.count * (slice.first != nullptr ? 5 : 3);
  return {0, f32(moved)};
}

// Values and both moments are read and written, gradients read.
KernelCost adam_step(const AdamStep&, std::span<const ParameterSlice> slices) {
  return {0, f32(7 * parameters(slices))};
}

// As the product, and the update but for the gradient.
KernelCost gemm_adam_step(int64_t m, int64_t n, int64_t k, ConstArray a, ConstArray b, const AdamStep&,
                          const ParameterSlice&) {
  return {2 * f64(m) * f64(n) * f64(k), bytes(a, k * m) + bytes(b, k * n) + f32(6 * m * n)};
}

KernelCost clip_scale(float, std::span<const ParameterSlice> slices, float*) {
  return {0, f32(parameters(slices) + 1)};
}

KernelCost average_step(float, std::span<const ParameterSlice> slices) { return {0, f32(3 * parameters(slices))}; }

// --- data ---------------------------------------------------------------------------------------------------------

KernelCost image_batch(const ImageBatchShape& s, const uint8_t*, const int32_t*, Array out) {
  const int64_t count = s.n * s.h * s.w * s.c;
  return {0, f64(count) + f32(s.n) + bytes(out, count)};
}

}  // namespace convoy::cost_of
