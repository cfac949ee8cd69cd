// Philox against the known answers published with Random123 (examples/kat_vectors, "philox4x32 10").
#include "tensor/philox.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

namespace convoy {
namespace {

// The words in the order of the published vectors: counter c0..c3, key k0, k1.
std::array<uint32_t, 4> philox_words(const std::array<uint32_t, 4>& counter, const std::array<uint32_t, 2>& key) {
  const RandomKey random_key{.seed = uint64_t{key[1]} << 32 | key[0],
                             .stream = static_cast<RandomStream>(counter[3] >> 24),
                             .step = counter[2],
                             .member = counter[3] & 0xFFFFFF};
  const Random4 r = philox(random_key, uint64_t{counter[1]} << 32 | counter[0]);
  return {r.v[0], r.v[1], r.v[2], r.v[3]};
}

using Words = std::array<uint32_t, 4>;

TEST(Philox, gives_the_published_answers) {
  EXPECT_EQ(philox_words({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const uint32_t ones = 0xffffffff;
  EXPECT_EQ(philox_words({ones, ones, ones, ones}, {ones, ones}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox_words({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, every_field_of_the_key_and_the_counter_matter) {
  const RandomKey key{.seed = 1};
  std::set<uint32_t> seen = {philox(key, 0).v[0], philox(key, 1).v[0], philox(key, uint64_t{1} << 32).v[0]};
  for (const RandomKey& other : {RandomKey{.seed = 2}, RandomKey{.seed = (uint64_t{1} << 32) + 1},
                                 RandomKey{.seed = 1, .stream = RandomStream::shuffle}, RandomKey{.seed = 1, .step = 1},
                                 RandomKey{.seed = 1, .member = 1}}) {
    seen.insert(philox(other, 0).v[0]);
  }
  EXPECT_EQ(seen.size(), 8u);
}

TEST(Philox, unit_floats_are_in_the_half_open_unit_interval) {
  EXPECT_EQ(unit_float(0), 0.0f);
  EXPECT_EQ(unit_float(0x80000000u), 0.5f);
  EXPECT_LT(unit_float(0xFFFFFFFFu), 1.0f);
}

TEST(Philox, uniform_elements_are_the_four_words_of_their_group) {
  const RandomKey key{.seed = 3, .stream = RandomStream::dropout, .step = 8, .member = 2};
  for (uint64_t i = 0; i < 12; ++i) EXPECT_EQ(random_uniform(key, i), unit_float(philox(key, i / 4).v[i % 4]));
}

TEST(Philox, uniform_elements_have_the_moments_of_their_distribution) {
  const int count = 100'000;
  double sum = 0, squares = 0;
  for (int i = 0; i < count; ++i) {
    const double u = static_cast<double>(random_uniform({.seed = 42}, static_cast<uint64_t>(i)));
    sum += u;
    squares += u * u;
  }
  // Standard errors: sqrt(1/12 / n) = 0.0009 for the mean and sqrt(4/45 / n) = 0.00094 for the mean square;
  // five of them are allowed.
  EXPECT_NEAR(sum / count, 0.5, 0.0046);
  EXPECT_NEAR(squares / count, 1.0 / 3, 0.0047);
}

TEST(Philox, random_below_reaches_every_value_and_never_the_bound) {
  EXPECT_EQ(random_below(0, 9), 0u);
  EXPECT_EQ(random_below(0xFFFFFFFFu, 9), 8u);
  EXPECT_EQ(random_below(0xFFFFFFFFu, 1), 0u);
  EXPECT_EQ(random_below(0x80000000u, 10), 5u);
}

}  // namespace
}  // namespace convoy
