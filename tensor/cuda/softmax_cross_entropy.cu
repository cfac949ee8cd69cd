// Softmax and cross entropy in one kernel, with the row's maximum subtracted so that no exponential overflows.
//
// A group of `lanes` threads (a power of two, at most a warp) takes a row. A row is read from memory once and then
// found in the first-level cache.
#include "tensor/cuda/launch.h"
#include "tensor/cuda/table.h"

namespace convoy::cuda {
namespace {

constexpr int kThreads = 256;
constexpr unsigned kWholeWarp = 0xFFFFFFFFu;

struct Group {
  int64_t row;
  int lane;

  static __device__ Group of_thread(int lanes) {
    return {(int64_t{blockIdx.x} * kThreads + threadIdx.x) / lanes, static_cast<int>(threadIdx.x) % lanes};
  }
};

int lanes_for(int64_t classes) {
  int lanes = 1;
  while (lanes < classes && lanes < 32) lanes *= 2;
  return lanes;
}

Grid grid_for_rows(int64_t rows, int lanes) {
  return {.blocks = dim3(static_cast<unsigned>((rows * lanes + kThreads - 1) / kThreads)), .threads = kThreads};
}

// The sum over the group, in all its lanes. Called by the whole warp.
__device__ double group_sum(double value, int lanes) {
  for (int distance = lanes / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(kWholeWarp, value, distance);
  return value;
}

// Moves 8 bytes an element.
__global__ void __launch_bounds__(kThreads)
    softmax_forward_kernel(int64_t rows, int64_t classes, int lanes, const float* __restrict__ logits,
                           const int32_t* __restrict__ labels, float smoothing, float* __restrict__ probability,
                           float* __restrict__ loss) {
  const auto [row, lane] = Group::of_thread(lanes);
  // Lanes past the last row take part in the sums with no classes.
  const int64_t count = row < rows ? classes : 0;
  const float* const x = logits + row * classes;
  float largest = count > 0 ? x[0] : 0.0f;
  for (int64_t j = lane; j < count; j += lanes) largest = x[j] > largest ? x[j] : largest;
  for (int distance = lanes / 2; distance > 0; distance /= 2) {
    const float other = __shfl_xor_sync(kWholeWarp, largest, distance);
    largest = other > largest ? other : largest;
  }
  double total = 0, shifted = 0;
  for (int64_t j = lane; j < count; j += lanes) {
    total += static_cast<double>(expf(x[j] - largest));
    shifted += static_cast<double>(x[j] - largest);
  }
  total = group_sum(total, lanes);
  shifted = group_sum(shifted, lanes);
  const float inverse = static_cast<float>(1.0 / total);
  for (int64_t j = lane; j < count; j += lanes) probability[row * classes + j] = expf(x[j] - largest) * inverse;
  if (lane != 0 || row >= rows) return;
  // log(total) - x is -log(p), also where p itself underflows.
  const double share = static_cast<double>(smoothing);
  double cost = log(total) - (1.0 - share) * static_cast<double>(x[labels[row]] - largest);
  if (smoothing != 0) cost -= share / static_cast<double>(classes) * shifted;
  loss[row] = static_cast<float>(cost);
}

// Moves 8 bytes an element, 12 when it accumulates.
__global__ void __launch_bounds__(kThreads)
    softmax_backward_kernel(int64_t rows, int64_t classes, int lanes, const float* __restrict__ probability,
                            const int32_t* __restrict__ labels, float smoothing, const float* __restrict__ dloss,
                            float scale, bool accumulate, float* __restrict__ dlogits) {
  const auto [row, lane] = Group::of_thread(lanes);
  if (row >= rows) return;
  const float factor = dloss[0] * scale, elsewhere = smoothing / static_cast<float>(classes),
              at_label = elsewhere + 1.0f - smoothing;
  const int32_t label = labels[row];
  for (int64_t j = lane; j < classes; j += lanes) {
    const int64_t at = row * classes + j;
    const float gradient = (probability[at] - (j == label ? at_label : elsewhere)) * factor;
    dlogits[at] = accumulate ? dlogits[at] + gradient : gradient;
  }
}

}  // namespace

void softmax_cross_entropy_forward(const Stream& stream, int64_t rows, int64_t classes, const float* logits,
                                   const int32_t* labels, float smoothing, float* probability, float* loss) {
  const int lanes = lanes_for(classes);
  launch("softmax_cross_entropy_forward", stream, grid_for_rows(rows, lanes), softmax_forward_kernel, rows, classes,
         lanes, logits, labels, smoothing, probability, loss);
}

void softmax_cross_entropy_backward(const Stream& stream, int64_t rows, int64_t classes, const float* probability,
                                    const int32_t* labels, float smoothing, const float* dloss, float scale,
                                    bool accumulate, float* dlogits) {
  const int lanes = lanes_for(classes);
  launch("softmax_cross_entropy_backward", stream, grid_for_rows(rows, lanes), softmax_backward_kernel, rows, classes,
         lanes, probability, labels, smoothing, dloss, scale, accumulate, dlogits);
}

}  // namespace convoy::cuda
