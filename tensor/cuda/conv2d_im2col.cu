// The first rung of the ladder: the im2col matrix in memory, as the drawing in docs/convolution.md has it, and a matrix
// product. Two thirds of the memory traffic is the matrix; it is here to be read and to be compared with.
#include "tensor/cuda/conv2d_algorithms.h"
#include "tensor/cuda/conv2d_products.cuh"

namespace convoy::cuda::im2col {
namespace {

// One thread for an element of the matrix [N*P*Q, R*S*C]: neighbours copy neighbours.
template <class T>
__global__ void __launch_bounds__(256) im2col_kernel(const WindowLines<T> windows, T* __restrict__ matrix) {
  const int64_t count = int64_t{windows.lines} * windows.elements;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += int64_t{gridDim.x} * blockDim.x) {
    const int line = static_cast<int>(i / windows.elements), element = static_cast<int>(i % windows.elements);
    const typename WindowLines<T>::template Lines<1, 1> here(windows, line);
    const Place<T> place = here.place(0, windows.element(element));
    matrix[i] = place.inside ? *place.pointer : T{};
  }
}

// One thread for an element of dx [N,H,W,C]: it collects what the windows that hold it have at it. (To scatter instead,
// a thread for each element of the matrix, would need atomics, whose order and hence rounding is left to chance.)
template <class T>
__global__ void __launch_bounds__(256)
    col2im_kernel(const Conv2dShape s, const float* __restrict__ matrix, bool accumulate, T* __restrict__ dx) {
  const int64_t count = s.n * s.h * s.w * s.c, p = s.p(), q = s.q();
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += int64_t{gridDim.x} * blockDim.x) {
    const int64_t c = i % s.c, w = i / s.c % s.w, h = i / s.c / s.w % s.h, n = i / s.c / s.w / s.h;
    float sum = accumulate ? to_float(dx[i]) : 0.0f;
    for (int64_t r = 0; r < s.r; ++r) {
      const int64_t down = h + s.pad_h - r;
      if (down < 0 || down % s.stride_h != 0 || down / s.stride_h >= p) continue;
      for (int64_t t = 0; t < s.s; ++t) {
        const int64_t across = w + s.pad_w - t;
        if (across < 0 || across % s.stride_w != 0 || across / s.stride_w >= q) continue;
        sum += matrix[((n * p + down / s.stride_h) * q + across / s.stride_w) * s.taps() + (r * s.s + t) * s.c + c];
      }
    }
    assign(dx[i], sum);
  }
}

// Calls body(shape of some images, index of the first, matrix) for the images in turn, as many at a time as their
// matrix fits 256 MiB as f32, or a 64th of a small GPU's memory; once, too, when there are none.
template <class Body>
void for_some_images(const Stream& stream, const Conv2dShape& shape, Body&& body) {
  constexpr int64_t kMostBytes = 256 << 20;
  const int64_t most_floats = std::min(kMostBytes, device_bytes(stream) / 64) / static_cast<int64_t>(sizeof(float));
  const int64_t per_image = shape.p() * shape.q() * shape.taps();
  const int64_t fitting = per_image == 0 ? shape.n : std::max<int64_t>(most_floats / per_image, 1);
  Conv2dShape some = shape;
  some.n = std::min(fitting, shape.n);
  const auto matrix = pool_allocate(stream.device, some.n * per_image * static_cast<int64_t>(sizeof(float)));
  int64_t first = 0;
  do {
    some.n = std::min(fitting, shape.n - first);
    body(some, first, reinterpret_cast<float*>(matrix.get()));
    first += some.n;
  } while (first < shape.n);
}

// The matrix of x's windows at `memory`, in x's type.
ConstArray make_matrix(const Stream& stream, const Conv2dShape& shape, ConstArray x, float* memory) {
  with_type(x.dtype, [&]<class T> {
    const WindowLines<T> windows = windows_of_input(shape, x.as<T>());
    launch("im2col", stream, grid_for(int64_t{windows.lines} * windows.elements), im2col_kernel<T>, windows,
           reinterpret_cast<T*>(memory));
  });
  return {memory, x.dtype};
}

int64_t image_size(const Conv2dShape& s) { return s.h * s.w * s.c; }
int64_t result_size(const Conv2dShape& s) { return s.p() * s.q() * s.k; }

}  // namespace

void forward(const Stream& stream, const Conv2dShape& shape, ConstArray x, ConstArray w, const Epilogue& epilogue,
             Array y) {
  for_some_images(stream, shape, [&](const Conv2dShape& s, int64_t first, float* memory) {
    const ConstArray matrix = make_matrix(stream, s, x.from(first * image_size(s)), memory);
    gemm(stream, {.m = s.output_pixels(), .n = s.k, .k = s.taps(), .transpose_b = true}, matrix, w,
         {.bias = epilogue.bias, .relu = epilogue.relu}, false, y.from(first * result_size(s)));
  });
  take_statistics(stream, shape.output_pixels(), shape.k, y, epilogue);
}

void backward_input(const Stream& stream, const Conv2dShape& shape, ConstArray dy, ConstArray w, bool accumulate,
                    Array dx) {
  for_some_images(stream, shape, [&](const Conv2dShape& s, int64_t first, float* matrix) {
    gemm(stream, {.m = s.output_pixels(), .n = s.taps(), .k = s.k}, dy.from(first * result_size(s)), w, {}, false,
         matrix);
    with_type(dx.dtype, [&]<class T> {
      launch("col2im", stream, grid_for(s.n * image_size(s)), col2im_kernel<T>, s, matrix, accumulate,
             dx.as<T>() + first * image_size(s));
    });
  });
}

void backward_weight(const Stream& stream, const Conv2dShape& shape, ConstArray x, ConstArray dy, bool accumulate,
                     float* dw) {
  for_some_images(stream, shape, [&](const Conv2dShape& s, int64_t first, float* memory) {
    const ConstArray matrix = make_matrix(stream, s, x.from(first * image_size(s)), memory);
    gemm(stream, {.m = s.k, .n = s.taps(), .k = s.output_pixels(), .transpose_a = true},
         dy.from(first * result_size(s)), matrix, {}, accumulate || first > 0, dw);
  });
}

}  // namespace convoy::cuda::im2col
