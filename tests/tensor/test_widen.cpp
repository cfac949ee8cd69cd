// Half-precision numbers widen exactly.
#include "tensor/widen.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

namespace convoy {
namespace {

TEST(Widen, f16_numbers_of_every_kind_keep_their_value) {
  EXPECT_EQ(float_of_f16(0x3C00), 1.0f);
  EXPECT_EQ(float_of_f16(0xC000), -2.0f);
  EXPECT_EQ(float_of_f16(0x3555), 0.333251953125f);
  EXPECT_EQ(float_of_f16(0x7BFF), 65504.0f);                              // the largest
  EXPECT_EQ(float_of_f16(0x0400), std::ldexp(1.0f, -14));                 // the smallest normal one
  EXPECT_EQ(float_of_f16(0x03FF), std::ldexp(1023.0f, -24));              // the largest below
  EXPECT_EQ(float_of_f16(0x8001), -std::ldexp(1.0f, -24));                // the smallest
  EXPECT_EQ(std::bit_cast<uint32_t>(float_of_f16(0x8000)), 0x80000000u);  // -0
  EXPECT_EQ(float_of_f16(0xFC00), -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(float_of_f16(0x7E00)));
  EXPECT_TRUE(std::isnan(float_of_f16(0x7C01)));
}

TEST(Widen, tensors_of_half_precision_become_f32_and_others_stay) {
  Tensor f16 = Tensor::empty({1, 2}, DType::f16, Device{}), bf16 = Tensor::empty({1}, DType::bf16, Device{});
  f16.data<uint16_t>()[0] = 0x3C00;
  f16.data<uint16_t>()[1] = 0xC000;
  bf16.data<uint16_t>()[0] = 0x4049;
  const Tensor wide = widened(f16);
  ASSERT_EQ(wide.dtype(), DType::f32);
  EXPECT_EQ(wide.shape(), Shape({1, 2}));
  EXPECT_EQ(wide.data<float>()[0], 1.0f);
  EXPECT_EQ(wide.data<float>()[1], -2.0f);
  EXPECT_EQ(widened(bf16).item(), 3.140625f);
  const Tensor counter = Tensor::from(std::vector<int32_t>{3}, {});
  EXPECT_TRUE(widened(counter).shares_storage_with(counter));
}

}  // namespace
}  // namespace convoy
