#include "tensor/tensor.h"

#include <algorithm>
#include <cstring>

#include "tensor/cuda/cuda.h"
#include "tensor/kernels.h"
#include "tensor/memory_pool.h"

namespace convoy {

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device) {
  Tensor tensor;
  tensor.shape_ = shape;
  tensor.dtype_ = dtype;
  tensor.device_ = device;
  tensor.defined_ = true;
  tensor.storage_ = pool_allocate(device, tensor.bytes());
  return tensor;
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, Device device) {
  Tensor tensor = empty(shape, dtype, device);
  if (tensor.count() == 0) return tensor;
  if (device.kind == Device::Kind::cuda) {
    cuda::set_zero(tensor.raw(), device.index, tensor.bytes());
  } else {
    std::memset(tensor.raw(), 0, static_cast<size_t>(tensor.bytes()));
  }
  return tensor;
}

Tensor Tensor::full(const Shape& shape, float value) {
  Tensor tensor = empty(shape);
  kernels(tensor.device()).fill(current_stream(), tensor.count(), value, tensor.data<float>());
  return tensor;
}

namespace {

template <class T>
Tensor from_values(std::span<const T> values, const Shape& shape, DType dtype) {
  CHECK(static_cast<int64_t>(values.size()) == shape.count(), "tensor: {} values do not fill shape {}", values.size(),
        shape);
  Tensor tensor = Tensor::empty(shape, dtype, Device{});
  std::copy(values.begin(), values.end(), tensor.data<T>());
  return tensor.to(current_stream().device);
}

}  // namespace

Tensor Tensor::from(std::span<const float> values, const Shape& shape) {
  return from_values(values, shape, DType::f32);
}
Tensor Tensor::from(std::span<const int32_t> values, const Shape& shape) {
  return from_values(values, shape, DType::i32);
}

Tensor Tensor::reshape(const Shape& shape) const {
  CHECK(shape.count() == count(), "reshape: {} has {} elements, {} has {}", shape_, count(), shape, shape.count());
  Tensor view = *this;
  view.shape_ = shape;
  return view;
}

Tensor Tensor::slice(int64_t begin, int64_t end) const {
  CHECK(rank() >= 1 && 0 <= begin && begin <= end && end <= size(0),
        "slice: [{}, {}) is outside the leading axis of {}", begin, end, shape_);
  std::array<int64_t, Shape::kMaxRank> extents{};
  std::copy_n(shape_.extents().begin(), rank(), extents.begin());
  const int64_t row_bytes = size(0) == 0 ? 0 : bytes() / size(0);
  extents[0] = end - begin;
  Tensor view = *this;
  view.shape_ = Shape(std::span<const int64_t>(extents.data(), static_cast<size_t>(rank())));
  view.offset_ += begin * row_bytes;
  return view;
}

Tensor Tensor::clone() const {
  Tensor copy = empty(shape_, dtype_, device_);
  copy.copy_from(*this);
  return copy;
}

Tensor Tensor::to(Device device) const {
  if (device == device_) return *this;
  Tensor copy = empty(shape_, dtype_, device);
  copy.copy_from(*this);
  return copy;
}

void Tensor::copy_from(const Tensor& source) {
  CHECK(source.shape_ == shape_ && source.dtype_ == dtype_, "copy: {} {} into {} {}", name_of(source.dtype_),
        source.shape_, name_of(dtype_), shape_);
  if (count() == 0) return;
  if (device_.kind == Device::Kind::cpu && source.device_.kind == Device::Kind::cpu) {
    std::memmove(raw(), source.raw(), static_cast<size_t>(bytes()));
  } else {
    cuda::copy(raw(), device_, source.raw(), source.device_, bytes());
  }
}

float Tensor::item() const {
  CHECK(count() == 1, "item: {} is not a single value", shape_);
  return to(Device{}).data<float>()[0];
}

Tensor::operator Array() {
  check_element_type(is_array_type(dtype_), sizeof(float));
  return {raw(), dtype_};
}

Tensor::operator ConstArray() const {
  check_element_type(is_array_type(dtype_), sizeof(float));
  return {raw(), dtype_};
}

void Tensor::check_element_type(bool matches, size_t bytes) const {
  CHECK(defined_, "tensor: data of an undefined tensor");
  CHECK(matches, "tensor: {} elements of {} accessed as another type of {} bytes", name_of(dtype_), shape_, bytes);
}

}  // namespace convoy
