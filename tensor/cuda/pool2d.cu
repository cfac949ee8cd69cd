// Pooling on NHWC images. A thread takes four channels where C is a multiple of four, else one; neighbours in a warp
// take neighbouring channels, then pixels.
#include "tensor/cuda/table.h"
#include "tensor/cuda/vector_access.cuh"

namespace convoy::cuda {
namespace {

constexpr int kThreads = 256;  // with at most 64 registers each; left to itself, the compiler spills to save some

// Item `i` of an array [N, height, width, C / W].
struct Place {
  int64_t n, row, column, channel;

  template <int W>
  static __device__ Place of(int64_t i, int64_t height, int64_t width, int64_t channels) {
    const int64_t vectors = channels / W, pixel = i / vectors, line = pixel / width;
    return {line / height, line % height, pixel % width, i % vectors * W};
  }
};

__device__ inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// Calls body(h, w, tap) for the pixels of window (p, q) that lie inside the image, tap by tap.
template <class Body>
__device__ inline void for_window(const Pool2dShape& s, int64_t p, int64_t q, Body&& body) {
  const int64_t top = p * s.stride_h - s.pad_h, left = q * s.stride_w - s.pad_w;
  const int64_t bottom = least(top + s.r, s.h), right = least(left + s.s, s.w);
  for (int64_t h = top < 0 ? 0 : top; h < bottom; ++h)
    for (int64_t w = left < 0 ? 0 : left; w < right; ++w) body(h, w, static_cast<int>((h - top) * s.s + w - left));
}

// A thread per output vector. Reads the pixels of the windows, writes 5 bytes an output, 3 in bf16.
template <int W, class T>
__global__ void __launch_bounds__(kThreads, 4)
    max_pool_forward_kernel(Pool2dShape s, int64_t P, int64_t Q, const T* __restrict__ x, T* __restrict__ y,
                            uint8_t* __restrict__ index) {
  const int64_t count = s.n * P * Q * s.c / W, step = int64_t{gridDim.x} * kThreads;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < count; i += step) {
    const Place at = Place::of<W>(i, P, Q, s.c);
    const T* const image = x + at.n * s.h * s.w * s.c + at.channel;
    Vector<W> best = {};
    Vector<W, uint8_t> position = {};
    bool first = true;
    for_window(s, at.row, at.column, [&](int64_t h, int64_t w, int tap) {
      const Vector<W> value = load<W>(image + (h * s.w + w) * s.c);
      for (int j = 0; j < W; ++j) {
        const bool first_nan = value[j] != value[j] && best[j] == best[j];
        if (first || value[j] > best[j] || first_nan) {
          best[j] = value[j];
          position[j] = static_cast<uint8_t>(tap);
        }
      }
      first = false;
    });
    store(y + i * W, best);
    store(index + i * W, position);
  }
}

// A thread per output vector. Reads the pixels of the windows, writes 4 bytes an output, 2 in bf16.
template <int W, class T>
__global__ void __launch_bounds__(kThreads, 4)
    average_pool_forward_kernel(Pool2dShape s, int64_t P, int64_t Q, float scale, const T* __restrict__ x,
                                T* __restrict__ y) {
  const int64_t count = s.n * P * Q * s.c / W, step = int64_t{gridDim.x} * kThreads;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < count; i += step) {
    const Place at = Place::of<W>(i, P, Q, s.c);
    const T* const image = x + at.n * s.h * s.w * s.c + at.channel;
    Vector<W> sum = {};
    for_window(s, at.row, at.column, [&](int64_t h, int64_t w, int) {
      const Vector<W> value = load<W>(image + (h * s.w + w) * s.c);
      for (int j = 0; j < W; ++j) sum[j] += value[j];
    });
    for (int j = 0; j < W; ++j) sum[j] *= scale;
    store(y + i * W, sum);
  }
}

// What a window gives to the pixel at one of its taps.
template <class T>
struct MaxGradient {
  const T* dy;
  const uint8_t* index;

  template <int W>
  __device__ Vector<W> at(int64_t output, int tap) const {
    Vector<W> given = load<W>(dy + output);
    const Vector<W, uint8_t> position = load<W>(index + output);
    for (int j = 0; j < W; ++j) given[j] = position[j] == tap ? given[j] : 0.0f;
    return given;
  }
};

template <class T>
struct AverageGradient {
  const T* dy;
  float scale;

  template <int W>
  __device__ Vector<W> at(int64_t output, int) const {
    Vector<W> given = load<W>(dy + output);
    for (int j = 0; j < W; ++j) given[j] *= scale;
    return given;
  }
};

// The first of the windows up to `last` that pixel h (or w) lies in, `last` when none does, and never below 0.
__device__ inline int64_t first_window(int64_t h, int64_t last, int64_t stride, int64_t pad, int64_t size) {
  int64_t p = last < 0 ? 0 : last;
  while (p > 0 && h - ((p - 1) * stride - pad) < size) --p;
  return p;
}

// The padded image is cut into cells of stride_h x stride_w pixels, where windows begin; a thread takes the pixels of
// one cell. Pixel (i, j) of cell (a, b) lies in the windows (a - k, b - l) at tap (i + k * stride_h, j + l * stride_w).
// It gathers what they give in the order of p and q. Writes 4 bytes a pixel, 2 in bf16, and reads each window once
// per cell that it touches, once in all when windows do not overlap.
template <int W, class T, class Gradient>
__global__ void __launch_bounds__(kThreads, 4)
    pool_backward_kernel(Pool2dShape s, int64_t P, int64_t Q, int64_t cell_rows, int64_t cell_columns,
                         Gradient gradient, bool accumulate, T* __restrict__ dx) {
  const int64_t count = s.n * cell_rows * cell_columns * s.c / W, step = int64_t{gridDim.x} * kThreads;
  for (int64_t cell = int64_t{blockIdx.x} * kThreads + threadIdx.x; cell < count; cell += step) {
    const Place at = Place::of<W>(cell, cell_rows, cell_columns, s.c);
    const int64_t top = at.row * s.stride_h - s.pad_h, left = at.column * s.stride_w - s.pad_w;
    const int64_t p_last = least(at.row, P - 1), q_last = least(at.column, Q - 1);
    for (int64_t h = top < 0 ? 0 : top; h < least(top + s.stride_h, s.h); ++h) {
      for (int64_t w = left < 0 ? 0 : left; w < least(left + s.stride_w, s.w); ++w) {
        T* const pixel = dx + ((at.n * s.h + h) * s.w + w) * s.c + at.channel;
        Vector<W> sum = {};
        if (accumulate) sum = load<W>(pixel);
        const int64_t q_first = first_window(w, q_last, s.stride_w, s.pad_w, s.s);
        for (int64_t p = first_window(h, p_last, s.stride_h, s.pad_h, s.r); p <= p_last; ++p) {
          const int64_t r = h - (p * s.stride_h - s.pad_h);
          for (int64_t q = q_first; q <= q_last; ++q) {
            const int64_t t = w - (q * s.stride_w - s.pad_w);
            if (r >= s.r || t >= s.s) continue;  // strides wider than windows leave pixels between them
            const Vector<W> given =
                gradient.template at<W>(((at.n * P + p) * Q + q) * s.c + at.channel, static_cast<int>(r * s.s + t));
            for (int j = 0; j < W; ++j) sum[j] += given[j];
          }
        }
        store(pixel, sum);
      }
    }
  }
}

template <int W, class T, class Gradient>
void pool_backward(const char* name, const Stream& stream, const Pool2dShape& s, const Gradient& gradient,
                   bool accumulate, T* dx) {
  const int64_t cell_rows = (s.h - 1 + s.pad_h) / s.stride_h + 1, cell_columns = (s.w - 1 + s.pad_w) / s.stride_w + 1;
  launch(name, stream, grid_for(s.n * cell_rows * cell_columns * s.c / W, 1, kThreads),
         pool_backward_kernel<W, T, Gradient>, s, s.p(), s.q(), cell_rows, cell_columns, gradient, accumulate, dx);
}

}  // namespace

void max_pool_forward(const Stream& stream, const Pool2dShape& s, ConstArray x, Array y, uint8_t* index) {
  with_type(y.dtype, [&]<class T> {
    with_width(s.c % 4 == 0 && aligned(x.as<T>(), y.as<T>(), index), [&]<int W> {
      launch("max_pool_forward", stream, grid_for(s.n * s.p() * s.q() * s.c / W, 1, kThreads),
             max_pool_forward_kernel<W, T>, s, s.p(), s.q(), x.as<T>(), y.as<T>(), index);
    });
  });
}

void max_pool_backward(const Stream& stream, const Pool2dShape& s, ConstArray dy, const uint8_t* index, bool accumulate,
                       Array dx) {
  with_type(dx.dtype, [&]<class T> {
    with_width(s.c % 4 == 0 && aligned(dy.as<T>(), dx.as<T>(), index), [&]<int W> {
      pool_backward<W>("max_pool_backward", stream, s, MaxGradient<T>{dy.as<T>(), index}, accumulate, dx.as<T>());
    });
  });
}

void average_pool_forward(const Stream& stream, const Pool2dShape& s, ConstArray x, Array y) {
  const float scale = 1.0f / static_cast<float>(s.r * s.s);
  with_type(y.dtype, [&]<class T> {
    with_width(s.c % 4 == 0 && aligned(x.as<T>(), y.as<T>()), [&]<int W> {
      launch("average_pool_forward", stream, grid_for(s.n * s.p() * s.q() * s.c / W, 1, kThreads),
             average_pool_forward_kernel<W, T>, s, s.p(), s.q(), scale, x.as<T>(), y.as<T>());
    });
  });
}

void average_pool_backward(const Stream& stream, const Pool2dShape& s, ConstArray dy, bool accumulate, Array dx) {
  const float scale = 1.0f / static_cast<float>(s.r * s.s);
  with_type(dx.dtype, [&]<class T> {
    with_width(s.c % 4 == 0 && aligned(dy.as<T>(), dx.as<T>()), [&]<int W> {
      pool_backward<W>("average_pool_backward", stream, s, AverageGradient<T>{dy.as<T>(), scale}, accumulate,
                       dx.as<T>());
    });
  });
}

}  // namespace convoy::cuda
