// What the tests of the emulation share: a healthy device before each test, arrays on it, a launch in one line.
#pragma once

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/cuda_emulation/emulation.h"

namespace convoy::emulation {

class OnEmulatedDevice : public testing::Test {
 protected:
  void SetUp() override {
    cudaSetDevice(0);
    cudaDeviceReset();
    set_seed(1);
  }
  void TearDown() override {
    cudaSetDevice(0);
    cudaDeviceReset();
  }
};

// Memory of the current device, until the device is reset. Copies wait for the stream.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(size_t count) : count_(count) {
    EXPECT_EQ(cudaMalloc(reinterpret_cast<void**>(&data_), count * sizeof(T)), cudaSuccess);
  }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    EXPECT_EQ(cudaMemcpyAsync(data_, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);
  }

  T* data() const { return data_; }
  size_t bytes() const { return count_ * sizeof(T); }
  std::vector<T> values(cudaStream_t stream = nullptr) const {
    std::vector<T> host(count_);
    EXPECT_EQ(cudaMemcpyAsync(host.data(), data_, bytes(), cudaMemcpyDeviceToHost, stream), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    return host;
  }

 private:
  size_t count_;
  T* data_ = nullptr;
};

struct Shape {
  dim3 blocks = 1, threads = 32;
  size_t shared_bytes = 0;
  cudaStream_t stream = nullptr;
};

template <class... Parameters, class... Arguments>
cudaError_t start(const Shape& shape, void (*kernel)(Parameters...), Arguments... arguments) {
  const cudaLaunchConfig_t config{shape.blocks, shape.threads, shape.shared_bytes, shape.stream};
  return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}

// Starts the kernel and waits for it.
template <class... Parameters, class... Arguments>
cudaError_t run(const Shape& shape, void (*kernel)(Parameters...), Arguments... arguments) {
  const cudaError_t started = start(shape, kernel, arguments...);
  return started != cudaSuccess ? started : cudaStreamSynchronize(shape.stream);
}

}  // namespace convoy::emulation
