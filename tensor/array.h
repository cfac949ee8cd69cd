// The floats of a tensor as a kernel sees them: where they are, and whether they are f32 or bf16. A float* or a Bf16*
// is an Array by itself; so is a Tensor.
//
//   k.scale(stream, count, 2.0f, x, y);    // pointers or tensors
#pragma once

#include <cstddef>

#include "tensor/bf16.h"
#include "tensor/dtype.h"

namespace convoy {

struct Array {
  void* data = nullptr;
  DType dtype = DType::f32;  // or bf16

  Array(std::nullptr_t) {}
  Array(float* f32) : data(f32) {}
  Array(Bf16* bf16) : data(bf16), dtype(DType::bf16) {}
  Array(void* elements, DType type) : data(elements), dtype(type) {}

  template <class T>
  CONVOY_HOST_DEVICE T* as() const {
    return static_cast<T*>(data);
  }
  Array from(int64_t element) const {  // what is left of it without the elements before
    return {static_cast<std::byte*>(data) + element * size_in_bytes(dtype), dtype};
  }
};

struct ConstArray {
  const void* data = nullptr;
  DType dtype = DType::f32;

  ConstArray(std::nullptr_t) {}
  ConstArray(const float* f32) : data(f32) {}
  ConstArray(const Bf16* bf16) : data(bf16), dtype(DType::bf16) {}
  ConstArray(const void* elements, DType type) : data(elements), dtype(type) {}
  ConstArray(const Array& array) : data(array.data), dtype(array.dtype) {}

  template <class T>
  CONVOY_HOST_DEVICE const T* as() const {
    return static_cast<const T*>(data);
  }
  ConstArray from(int64_t element) const {
    return {static_cast<const std::byte*>(data) + element * size_in_bytes(dtype), dtype};
  }
};

}  // namespace convoy
