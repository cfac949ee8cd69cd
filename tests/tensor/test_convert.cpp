// Conversions between f32 and bf16, right to the bit.
#include <bit>

#include "tests/tensor/kernel_test.h"

namespace convoy {
namespace {

class Convert : public EveryBackend {
 protected:
  // Converts the first 0, 1, 2, … values, so that each stands at the end of an array, too, and is not part of a vector.
  template <class To, class From>
  void check(const std::vector<From>& x) {
    for (const int64_t count : array_lengths()) {
      if (count > static_cast<int64_t>(x.size())) break;
      SCOPED_TRACE(fmt::format("count {}", count));
      const std::vector<From> first(x.begin(), x.begin() + count);
      Guarded<To> y(count);
      kernels().convert(stream, count, in(first), y.data());
      EXPECT_TRUE(y.intact());
      const std::vector<To> values = y.values();
      for (size_t i = 0; i < first.size(); ++i) ASSERT_TRUE(is_conversion(first[i], values[i])) << "element " << i;
    }
  }

 private:
  // To the sign of a zero; NaN becomes any NaN.
  template <class From, class To>
  static bool is_conversion(From from, To to) {
    const double x = static_cast<double>(to_float(from)), y = static_cast<double>(to_float(to));
    const double expected = std::is_same_v<To, Bf16> ? reference::bf16(x) : x;
    return std::isnan(x) ? std::isnan(y) : y == expected && std::signbit(y) == std::signbit(expected);
  }
};
INSTANTIATE_FOR_EVERY_BACKEND(Convert);

// Floats of all magnitudes, denormals, infinities and NaN among them. A fifth of them lies in the middle between two bf16.
std::vector<float> draw_floats() {
  Draw draw(48);
  std::vector<float> floats;
  for (int i = 0; i < 40'009; ++i) {
    const uint32_t upper = static_cast<uint32_t>(draw.between(0, 0xFFFF));
    const uint32_t lower = static_cast<uint32_t>(draw.pick({0, 0x7FFF, 0x8000, 0x8001, draw.between(0, 0xFFFF)}));
    floats.push_back(std::bit_cast<float>(upper << 16 | lower));
  }
  for (size_t i = 0; i < floats.size(); i += 5) {
    const float special[] = {INFINITY, -INFINITY, NAN, -0.0f, 0, 1e-45f, 0x1p-134f, 0x1.8p-133f, 0x1.FFp127f};
    floats[i] = special[i / 5 % std::size(special)];
  }
  return floats;
}

TEST_P(Convert, f32_becomes_the_nearest_bf16) { check<Bf16>(draw_floats()); }

TEST_P(Convert, every_bf16_becomes_the_same_f32) {
  std::vector<Bf16> all;
  for (int bits = 0; bits <= 0xFFFF; ++bits) all.push_back({static_cast<uint16_t>(bits)});
  Guarded<float> y(0x10000);
  kernels().convert(stream, 0x10000, in(all), y.data());
  const std::vector<float> values = y.values();
  for (uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const float expected = std::bit_cast<float>(bits << 16);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(values[bits])) << bits;
    } else {
      ASSERT_EQ(std::bit_cast<uint32_t>(values[bits]), bits << 16);
    }
  }
  EXPECT_TRUE(y.intact());
  check<float>(all);
}

TEST_P(Convert, the_same_type_is_a_copy) {
  const std::vector<float> x = draw_floats();
  check<float>(x);
  check<Bf16>(to_bf16(x));
}

}  // namespace
}  // namespace convoy
