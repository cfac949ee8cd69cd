// Gathers a batch of images from a u8 data set, crops, flips and normalises them.
#include "tensor/cuda/table.h"
#include "tensor/cuda/vector_access.cuh"

namespace convoy::cuda {
namespace {

constexpr int kThreads = 256, kLanes = 32;  // at most 64 registers a thread, as in pool2d.cu

// A warp takes one row of one image, its lanes lie side by side over the row's values. C is the number of channels.
// Moves 5 bytes a value, 3 in bf16.
template <int C, class T>
__global__ void __launch_bounds__(kThreads, 4)
    image_batch_kernel(ImageBatchShape s, const uint8_t* __restrict__ images, const int32_t* __restrict__ index,
                       const StepScalars* __restrict__ recorded, T* __restrict__ out) {
  if (recorded != nullptr) s.key.step = recorded->epoch;
  const int64_t row = s.w * C, warps = int64_t{gridDim.x} * (kThreads / kLanes);
  const int lane = threadIdx.x % kLanes;
  float means[C], inverse_stds[C];
#pragma unroll
  for (int k = 0; k < C; ++k) {
    means[k] = s.mean[k];
    inverse_stds[k] = s.inverse_std[k];
  }
  for (int64_t i = int64_t{blockIdx.x} * (kThreads / kLanes) + threadIdx.x / kLanes; i < s.n * s.h; i += warps) {
    const int64_t n = i / s.h, h = i % s.h;
    const Random4 random = philox(s.key, static_cast<uint64_t>(index[n]));
    // Output pixel (h, w) comes from pixel (h + down, w + right) of the possibly mirrored image, black outside of it.
    const uint32_t offsets = static_cast<uint32_t>(2 * s.crop_pad + 1);
    const int64_t down = static_cast<int64_t>(random_below(random.v[0], offsets)) - s.crop_pad;
    const int64_t right = static_cast<int64_t>(random_below(random.v[1], offsets)) - s.crop_pad;
    const bool mirrored = s.flip && (random.v[2] >> 31) != 0;
    const bool row_inside = h + down >= 0 && h + down < s.h;
    const uint8_t* const from = images + (index[n] * s.h + h + down) * row;
    T* const to = out + i * row;
    for (int64_t j = lane; j < row; j += kLanes) {
      const int64_t w = j / C;
      const int c = static_cast<int>(j % C);
      const int64_t column = mirrored ? s.w - 1 - (w + right) : w + right;
      const bool inside = row_inside && column >= 0 && column < s.w;
      const float value = inside ? static_cast<float>(from[column * C + c]) : 0.0f;
      float mean = means[0], inverse_std = inverse_stds[0];
#pragma unroll
      for (int k = 1; k < C; ++k) {  // an index known when compiled keeps the arrays in registers
        mean = c == k ? means[k] : mean;
        inverse_std = c == k ? inverse_stds[k] : inverse_std;
      }
      assign(to[j], (value / 255.0f - mean) * inverse_std);
    }
  }
}

}  // namespace

void image_batch(const Stream& stream, const ImageBatchShape& s, const uint8_t* images, const int32_t* index,
                 Array out) {
  const Grid grid = grid_for(s.n * s.h, 1, kThreads / kLanes);
  with_type(out.dtype, [&]<class T> {
    void (*const kernels[])(ImageBatchShape, const uint8_t*, const int32_t*, const StepScalars*, T*) = {
        image_batch_kernel<1, T>, image_batch_kernel<2, T>, image_batch_kernel<3, T>, image_batch_kernel<4, T>};
    launch("image_batch", stream, {.blocks = grid.blocks, .threads = kThreads}, kernels[s.c - 1], s, images, index,
           stream.scalars, out.as<T>());
  });
}

}  // namespace convoy::cuda
