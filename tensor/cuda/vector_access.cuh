// Elements in groups of W: 4, moved in one access where the addresses allow it, or 1. Kernels are templates over W and
// over the type in memory, float or Bf16, and compute with floats; the launcher looks at the arrays and chooses.
//
//   with_type(y.dtype, [&]<class T> {
//     with_width(aligned(x.as<T>(), y.as<T>()),
//                [&]<int W> { launch("scale", stream, grid_of_vectors(count, W), scale_kernel<W, T>, …); });
//   });
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "tensor/array.h"
#include "tensor/cuda/intrinsics.cuh"
#include "tensor/cuda/launch.h"

namespace convoy::cuda {

template <int W, class T = float>
struct alignas(W * sizeof(T)) Vector {
  T v[W];

  __device__ T& operator[](int i) { return v[i]; }
  __device__ const T& operator[](int i) const { return v[i]; }
};

template <int W, class T>
__device__ inline Vector<W, T> load(const T* from) {
  return *reinterpret_cast<const Vector<W, T>*>(from);
}
template <int W>
__device__ inline Vector<W> load(const Bf16* from) {
  const auto packed = *reinterpret_cast<const Vector<W, Bf16>*>(from);
  Vector<W> vector;
  for (int i = 0; i < W; ++i) vector[i] = to_float(packed[i]);
  return vector;
}

template <int W, class T>
__device__ inline void store(T* to, const Vector<W, T>& vector) {
  *reinterpret_cast<Vector<W, T>*>(to) = vector;
}
template <int W>
__device__ inline void store(Bf16* to, const Vector<W>& vector) {
  if constexpr (W == 1) {
    *to = to_bf16(vector[0]);
  } else {
    Vector<W / 2, uint32_t> pairs;
    for (int i = 0; i < W; i += 2) pairs[i / 2] = pack_bf16(vector[i], vector[i + 1]);
    *reinterpret_cast<Vector<W / 2, uint32_t>*>(to) = pairs;
  }
}

// True when every pointer may be accessed four elements at a time. Null is.
template <class... T>
bool aligned(const T*... pointers) {
  return ((reinterpret_cast<uintptr_t>(pointers) % (4 * sizeof(T)) == 0) && ...);
}

// Calls body.operator()<T>() with the type of elements that `dtype` names, float or Bf16.
template <class Body>
void with_type(DType dtype, Body&& body) {
  if (dtype == DType::bf16) {
    body.template operator()<Bf16>();
  } else {
    body.template operator()<float>();
  }
}

// Calls body.operator()<W>() with the width to use.
template <class Body>
void with_width(bool wide, Body&& body) {
  if (wide) {
    body.template operator()<4>();
  } else {
    body.template operator()<1>();
  }
}

// --- flat arrays --------------------------------------------------------------------------------------------------
// A block takes runs of blockDim.x * kVectorsPerThread vectors, a thread every blockDim.x-th of them, so a warp's
// accesses lie side by side. Its loads are issued before the first result is stored.

constexpr int kVectorsPerThread = 2;

inline Grid grid_of_vectors(int64_t count, int width) { return grid_for(count, kVectorsPerThread * width); }

// Calls body.operator()<V>(i, in) for vectors of elements [i, i + V) that together cover [0, count); in[j] is what
// array j holds there. V is W, and 1 for the last count % W elements.
template <int W, class Body, class... T>
__device__ inline void for_vectors(int64_t count, Body&& body, const T*... arrays) {
  constexpr int kArrays = sizeof...(arrays);
  const int64_t step = int64_t{blockDim.x} * W, run = step * kVectorsPerThread, whole = count - count % W;
  for (int64_t begin = blockIdx.x * run; begin < whole; begin += gridDim.x * run) {
    const int64_t first = begin + int64_t{threadIdx.x} * W;
    Vector<W> in[kVectorsPerThread][kArrays] = {};
#pragma unroll
    for (int k = 0; k < kVectorsPerThread; ++k) {
      const int64_t i = first + k * step;
      int j = 0;
      if (i < whole) ((in[k][j++] = load<W>(arrays + i)), ...);
    }
#pragma unroll
    for (int k = 0; k < kVectorsPerThread; ++k) {
      const int64_t i = first + k * step;
      if (i < whole) body.template operator()<W>(i, in[k]);
    }
  }
  if (const int64_t i = whole + threadIdx.x; blockIdx.x == 0 && i < count) {
    const Vector<1> rest[kArrays] = {load<1>(arrays + i)...};
    body.template operator()<1>(i, rest);
  }
}

}  // namespace convoy::cuda
