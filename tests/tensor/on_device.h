// Elements on the device of the current stream: on the CPU a std::vector, on a GPU memory of their own, so that whatever
// watches over memory there sees accesses outside of it.
//
//   OnDevice<float> x(values, 1);   // x.data() is one element past a boundary of 256 bytes
#pragma once

#include <utility>
#include <vector>

#include "tensor/cuda/cuda.h"
#include "tensor/device.h"
#include "tensor/error.h"

namespace convoy {

template <class T>
class OnDevice {
 public:
  // On a GPU the first element stands `offset` elements after a boundary of 256 bytes.
  explicit OnDevice(std::vector<T> contents, size_t offset = 0) : contents_(std::move(contents)) {
    if (device_.kind == Device::Kind::cpu) return;
    memory_ = cuda::allocate(device_.index, static_cast<int64_t>((contents_.size() + offset + 1) * sizeof(T)));
    first_ = reinterpret_cast<T*>(memory_) + offset;
    cuda::copy(first_, device_, contents_.data(), {}, bytes());
  }
  ~OnDevice() {
    try {
      if (memory_ != nullptr) cuda::release(device_.index, memory_);
    } catch (const Error&) {  // of a kernel before, which the test has seen or will
    }
  }
  OnDevice(OnDevice&& other) noexcept
      : contents_(std::move(other.contents_)),
        device_(other.device_),
        memory_(std::exchange(other.memory_, nullptr)),
        first_(other.first_) {}
  OnDevice& operator=(OnDevice&&) = delete;

  T* data() { return device_.kind == Device::Kind::cpu ? contents_.data() : first_; }

  // What stands there now; waits for the device.
  std::vector<T> values() const {
    std::vector<T> now = contents_;
    if (device_.kind != Device::Kind::cpu) cuda::copy(now.data(), {}, first_, device_, bytes());
    return now;
  }

 private:
  int64_t bytes() const { return static_cast<int64_t>(contents_.size() * sizeof(T)); }

  std::vector<T> contents_;  // on a GPU, what was there at first
  Device device_ = current_stream().device;
  std::byte* memory_ = nullptr;
  T* first_ = nullptr;
};

}  // namespace convoy
