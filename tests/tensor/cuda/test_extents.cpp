// What the CUDA kernels cannot index is refused before anything is launched; no memory of that size is needed to see it.
#include <gtest/gtest.h>

#include "tensor/cuda/cuda.h"
#include "tensor/error.h"

namespace convoy {
namespace {

class Extents : public testing::Test {
 protected:
  void SetUp() override {
    if (!cuda::unavailable().empty()) GTEST_SKIP() << cuda::unavailable();
    stream = cuda::make_stream(0);
  }
  void TearDown() override {
    if (stream.handle != nullptr) cuda::end_stream(stream);
  }
  Stream stream;
};

TEST_F(Extents, beyond_31_bits_are_refused_by_convolutions) {
  const Kernels& k = cuda::kernel_table();
  for (const Conv2dShape& s : {
           Conv2dShape{.n = int64_t{1} << 31, .h = 1, .w = 1, .c = 8, .k = 8},
           Conv2dShape{.n = 1, .h = 1 << 14, .w = 1 << 14, .c = 8, .k = 8, .r = 3, .s = 3},
       }) {
    for (const ConvolutionAlgorithm algorithm : {ConvolutionAlgorithm::tiled, ConvolutionAlgorithm::tensor_core}) {
      stream.convolution = algorithm;
      EXPECT_THROW(k.conv2d_forward(stream, s, nullptr, nullptr, {}, nullptr), Error);
      EXPECT_THROW(k.conv2d_backward_input(stream, s, nullptr, nullptr, false, nullptr), Error);
      EXPECT_THROW(k.conv2d_backward_weight(stream, s, nullptr, nullptr, false, nullptr), Error);
    }
  }
}

TEST_F(Extents, beyond_31_bits_are_refused_by_products) {
  EXPECT_THROW(
      cuda::kernel_table().gemm(stream, {.m = int64_t{1} << 31, .n = 8, .k = 8}, nullptr, nullptr, {}, false, nullptr),
      Error);
}

}  // namespace
}  // namespace convoy
