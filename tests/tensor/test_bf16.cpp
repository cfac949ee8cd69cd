// Rounding to bf16, and the reference that tests measure it by.
#include "tensor/bf16.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "tests/reference.h"

namespace convoy {
namespace {

TEST(Bf16, is_the_upper_half_of_a_float) {
  EXPECT_EQ(to_bf16(1.0f).bits, 0x3F80);
  EXPECT_EQ(to_bf16(-2.5f).bits, 0xC020);
  EXPECT_EQ(to_float(Bf16{0x4049}), 3.140625f);
  for (uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const float value = to_float(Bf16{static_cast<uint16_t>(bits)});
    if (std::isnan(value)) continue;
    ASSERT_EQ(std::bit_cast<uint32_t>(value), bits << 16);
    ASSERT_EQ(to_bf16(value).bits, bits);
  }
}

TEST(Bf16, rounds_to_nearest_and_to_even_in_the_middle) {
  const std::pair<float, float> kRounded[] = {
      {1 + 0x1p-8f, 1},                         // the middle: even is below
      {1 + 0x1.8p-7f, 1 + 0x1p-6f},             // the middle: even is above
      {1 + 0x1p-8f + 0x1p-23f, 1 + 0x1p-7f},    // just above it
      {1 + 0x1.8p-7f - 0x1p-23f, 1 + 0x1p-7f},  // just below it
      {2 - 0x1p-8f, 2},                         // into the next power of two
      {0x1.FEp127f, 0x1.FEp127f},               // the largest
      {0x1.FEFFFEp127f, 0x1.FEp127f},           // the last that is not infinite
      {0x1.FFp127f, INFINITY},
      {3.4028235e38f, INFINITY},
      {0x1p-133f, 0x1p-133f},  // the smallest
      {0x1p-134f, 0},
      {0x1.8p-133f, 0x1p-132f},
      {0x1.0002p-134f, 0x1p-133f},
      {1e-45f, 0},
      {INFINITY, INFINITY},
  };
  for (const auto& [x, rounded] : kRounded) {
    for (const float sign : {1.0f, -1.0f}) {
      EXPECT_EQ(to_float(to_bf16(sign * x)), sign * rounded) << sign * x;
      EXPECT_EQ(reference::bf16(static_cast<double>(sign * x)), static_cast<double>(sign * rounded)) << sign * x;
    }
  }
  EXPECT_EQ(to_bf16(-0.0f).bits, 0x8000);
}

TEST(Bf16, keeps_nan) {
  // Bits that rounding by addition would carry into an infinity or a zero.
  for (const uint32_t bits : {0x7FC00000u, 0x7F800001u, 0x7FFFFFFFu, 0xFFFFFFFFu, 0xFF800001u}) {
    EXPECT_TRUE(std::isnan(to_float(to_bf16(std::bit_cast<float>(bits))))) << bits;
  }
  EXPECT_TRUE(std::isnan(reference::bf16(NAN)));
}

TEST(Bf16, assign_rounds_to_what_it_is_given) {
  float f32 = 0;
  Bf16 bf16{};
  assign(f32, 0.3f);
  assign(bf16, 0.3f);
  EXPECT_EQ(f32, 0.3f);
  EXPECT_EQ(to_float(bf16), 0.30078125f);
}

}  // namespace
}  // namespace convoy
