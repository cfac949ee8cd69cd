// Tensor: a value handle on shared storage. Always contiguous, row-major; a view is a reshape or a slice of the
// leading axis.
//
//   Tensor x = Tensor::zeros({8, 32, 32, 3});
//   x.data<float>()[0] = 1;
//   Tensor first = x.slice(0, 1);   // shares memory with x
//
// Copying a Tensor copies the handle. Two threads may hold handles on one storage; writing to it needs their own
// ordering. Activations are [N,H,W,C], filters [K,R,S,C] (conv_shape.h has the legend).
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "tensor/array.h"
#include "tensor/device.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace convoy {

class Tensor {
 public:
  Tensor() = default;  // undefined: no storage, defined() is false

  // New storage on `device`. empty() is uninitialised.
  static Tensor empty(const Shape& shape, DType dtype = DType::f32, Device device = current_stream().device);
  static Tensor zeros(const Shape& shape, DType dtype = DType::f32, Device device = current_stream().device);
  static Tensor full(const Shape& shape, float value);  // f32
  static Tensor from(std::span<const float> values, const Shape& shape);
  static Tensor from(std::span<const int32_t> values, const Shape& shape);

  bool defined() const { return defined_; }
  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  int64_t size(int axis) const { return shape_[axis]; }
  int64_t count() const { return shape_.count(); }
  int64_t bytes() const { return count() * size_in_bytes(dtype_); }
  DType dtype() const { return dtype_; }
  Device device() const { return device_; }

  // The first element. T must match the dtype (float f32, int32_t i32, uint8_t u8, uint16_t bf16 and f16), else
  // throws.
  template <class T>
  T* data() {
    check_element_type(is_element_type<T>(dtype_), sizeof(T));
    return reinterpret_cast<T*>(raw());
  }
  template <class T>
  const T* data() const {
    check_element_type(is_element_type<T>(dtype_), sizeof(T));
    return reinterpret_cast<const T*>(raw());
  }
  // What kernels take; throws unless the elements are f32 or bf16.
  operator Array();
  operator ConstArray() const;
  std::byte* raw() { return storage_.get() + offset_; }
  const std::byte* raw() const { return storage_.get() + offset_; }

  // Views on the same storage.
  Tensor reshape(const Shape& shape) const;        // same number of elements
  Tensor slice(int64_t begin, int64_t end) const;  // rows [begin, end) of the leading axis
  bool shares_storage_with(const Tensor& other) const { return storage_ && storage_ == other.storage_; }

  // Copies.
  Tensor clone() const;
  Tensor to(Device device) const;        // itself when it is already there
  void copy_from(const Tensor& source);  // same shape and dtype; any device

  float item() const;  // the value of a one-element f32 tensor; waits for the device

 private:
  void check_element_type(bool matches, size_t bytes) const;

  std::shared_ptr<std::byte> storage_;
  Shape shape_;
  DType dtype_ = DType::f32;
  Device device_;
  int64_t offset_ = 0;  // bytes from the start of the storage
  bool defined_ = false;
};

}  // namespace convoy
