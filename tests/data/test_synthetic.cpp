// The synthetic digits: reproducible, balanced, never twice the same.
#include "data/synthetic.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "data/digit_strokes.h"
#include "tests/data/files.h"

namespace convoy {
namespace {

constexpr int64_t kPixels = kSyntheticSide * kSyntheticSide;

Bytes draw(uint64_t seed, uint32_t index) {
  Bytes image(kPixels);
  draw_synthetic_digit(seed, index, image.data());
  return image;
}

// FNV-1a, 64 bits.
uint64_t hash(const uint8_t* bytes, int64_t count) {
  return std::accumulate(bytes, bytes + count, uint64_t{0xcbf29ce484222325},
                         [](uint64_t h, uint8_t byte) { return (h ^ byte) * 0x100000001b3; });
}

TEST(Synthetic, an_image_is_a_pure_function_of_seed_and_index) {
  EXPECT_EQ(draw(1, 7), draw(1, 7));
  EXPECT_NE(draw(1, 7), draw(1, 8));
  EXPECT_NE(draw(1, 7), draw(2, 7));
  EXPECT_NE(draw(1, 7), draw(1 + (uint64_t{1} << 32), 7));
}

TEST(Synthetic, the_set_is_the_same_for_any_number_of_threads_and_holds_the_drawn_digits) {
  const Stream before = current_stream();
  set_current_stream(Stream{.threads = 1});
  const Dataset one = draw_synthetic({.seed = 3}).test;
  set_current_stream(Stream{.threads = 3});
  const Dataset three = draw_synthetic({.seed = 3}).test;
  set_current_stream(before);
  EXPECT_TRUE(std::equal(one.images.raw(), one.images.raw() + one.images.bytes(), three.images.raw()));
  EXPECT_TRUE(std::equal(one.labels.raw(), one.labels.raw() + one.labels.bytes(), three.labels.raw()));
  Bytes image(kPixels);
  EXPECT_EQ(draw_synthetic_digit(3, (1u << 31) + 5, image.data()), one.labels.data<int32_t>()[5]);
  EXPECT_TRUE(std::equal(image.begin(), image.end(), one.images.data<uint8_t>() + 5 * kPixels));
}

// Fixed once from a run, so that a compiler or machine that draws other digits is noticed.
TEST(Synthetic, the_set_of_seed_1_is_the_same_on_every_machine) {
  const DatasetSplits splits = draw_synthetic({});
  EXPECT_EQ(hash(splits.train.images.data<uint8_t>(), splits.train.images.count()), 12603342724410563517u);
  EXPECT_EQ(hash(splits.test.images.data<uint8_t>(), splits.test.images.count()), 12739993493054108532u);
}

TEST(Synthetic, a_part_of_the_set_holds_the_digits_of_the_whole) {
  const DatasetSplits all = draw_synthetic({});
  const auto expect_equal = [](const Dataset& part, const Dataset& whole) {
    ASSERT_EQ(part.size(), whole.size());
    EXPECT_TRUE(std::equal(part.images.raw(), part.images.raw() + part.images.bytes(), whole.images.raw()));
    EXPECT_TRUE(std::equal(part.labels.raw(), part.labels.raw() + part.labels.bytes(), whole.labels.raw()));
  };
  const int64_t size = all.train.size();
  const struct { int64_t holdout, limit; } cases[] = {{0, 0}, {0, 9}, {7, 0}, {7, 9}, {size - 1, 9}};
  for (const auto& [holdout, limit] : cases) {
    SCOPED_TRACE(testing::Message() << holdout << " held out, limit " << limit);
    const DatasetSplits splits = load_dataset({.name = "synthetic", .holdout = holdout, .limit = limit});
    const int64_t rest = size - holdout;
    expect_equal(splits.train, all.train.slice(0, limit > 0 ? std::min(limit, rest) : rest));
    expect_equal(splits.test, holdout > 0 ? all.train.slice(rest, size) : all.test);
  }
}

TEST(Synthetic, every_class_is_about_as_frequent) {
  const DatasetSplits splits = draw_synthetic({});
  for (const Dataset* dataset : {&splits.train, &splits.test}) {
    const int64_t size = dataset->size();
    const int32_t* labels = dataset->labels.data<int32_t>();
    for (int digit = 0; digit < 10; ++digit) {
      // A count is binomial with standard deviation sqrt(0.09 size); six of them is a chance of 2e-9.
      const double count = static_cast<double>(std::count(labels, labels + size, digit)), n = static_cast<double>(size);
      EXPECT_NEAR(count, n / 10, 6 * std::sqrt(0.09 * n)) << digit;
    }
  }
}

TEST(Synthetic, images_have_ink_and_do_not_repeat) {
  std::set<Bytes> seen;
  for (uint32_t index = 0; index < 2000; ++index) {
    const Bytes image = draw(1, index);
    // The darkest stroke has brightness 0.6 before the noise, so 0.4 is ink; the shortest digit is 14 pixels
    // tall.
    EXPECT_GE(std::count_if(image.begin(), image.end(), [](uint8_t pixel) { return pixel > 0.4 * 255; }), 10) << index;
    EXPECT_TRUE(seen.insert(image).second) << index;
  }
}

TEST(Synthetic, outlines_fit_the_box_and_the_limit_of_points) {
  for (int digit = 0; digit < 10; ++digit) {
    ASSERT_FALSE(digit_glyphs(digit).empty());
    for (const Glyph& glyph : digit_glyphs(digit)) {
      for (const Stroke& stroke : glyph) {
        EXPECT_GE(stroke.points.size(), 2u);
        EXPECT_LE(stroke.points.size(), static_cast<size_t>(kMaxStrokePoints));
        for (const StrokePoint& p : stroke.points) {
          EXPECT_LE(std::abs(p.x), 0.6f) << digit;
          EXPECT_LE(std::abs(p.y), 1.0f) << digit;
        }
      }
    }
  }
}

}  // namespace
}  // namespace convoy
