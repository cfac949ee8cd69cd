// Rows of the kernel table made of kernels that know f32 alone, as those of the CPU: such a kernel takes float* where its
// row takes an Array.
//
//   FloatRow<decltype(Kernels::scale)> scale;    // declares void scale(…, const float* x, float* y)
//   const Kernels table = {.scale = of_floats<scale>, …};
#pragma once

#include <cassert>

#include "tensor/array.h"

namespace convoy {

template <class T>
struct Unpacked {
  using Type = T;
};
template <>
struct Unpacked<Array> {
  using Type = float*;
};
template <>
struct Unpacked<ConstArray> {
  using Type = const float*;
};

template <class Row>
struct FloatRowOf;
template <class... Parameters>
struct FloatRowOf<void (*)(Parameters...)> {
  using Type = void(typename Unpacked<Parameters>::Type...);
};
template <class Row>
using FloatRow = typename FloatRowOf<Row>::Type;

inline float* unpacked(const Array& array) {
  assert(array.dtype == DType::f32);
  return array.as<float>();
}
inline const float* unpacked(const ConstArray& array) {
  assert(array.dtype == DType::f32);
  return array.as<float>();
}
template <class T>
const T& unpacked(const T& argument) {
  return argument;
}

template <auto kernel, class... Parameters>
void of_floats(Parameters... arguments) {
  kernel(unpacked(arguments)...);
}

}  // namespace convoy
