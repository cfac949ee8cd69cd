// Batches of augmented images against the naive reference.
#include <set>

#include "tests/tensor/kernel_test.h"

namespace convoy {
namespace {

class ImageBatch : public EveryBackend {};
INSTANTIATE_FOR_VARIANTS(ImageBatch, Variants::types);

std::vector<uint8_t> draw_images(Draw& draw, int64_t count) {
  std::vector<uint8_t> images(static_cast<size_t>(count));
  for (uint8_t& value : images) value = static_cast<uint8_t>(draw.between(0, 255));
  return images;
}

const RandomKey kKey{.seed = 9, .stream = RandomStream::augment, .step = 4};

TEST_P(ImageBatch, matches_reference_on_generated_shapes) {
  Draw draw(81);
  for (int i = 0; i < cases(200) && !HasFailure(); ++i) {
    ImageBatchShape s{.n = draw.pick({0, 1, 2, 3, 7}),
                      .h = draw.pick({0, 1, 2, 5, 8, 13}),
                      .w = draw.pick({0, 1, 3, 7, 8, 11, 17}),
                      .c = draw.between(1, 4),
                      .crop_pad = static_cast<int>(draw.pick({0, 0, 1, 2, 4})),
                      .flip = draw.coin(),
                      .key = kKey};
    for (int c = 0; c < 4; ++c) {
      s.mean[c] = draw.real(0, 1);
      s.inverse_std[c] = draw.real(1, 4);
    }
    SCOPED_TRACE(fmt::format("n {} h {} w {} c {} crop_pad {} flip {}", s.n, s.h, s.w, s.c, s.crop_pad, s.flip));
    const int64_t images_in_set = 23;
    const std::vector<uint8_t> images = draw_images(draw, images_in_set * s.h * s.w * s.c);
    const std::vector<int32_t> index = draw.labels(s.n, images_in_set);
    GuardedArray out(s.n * s.h * s.w * s.c);
    kernels().image_batch(stream, s, in(images), in(index), out.data());
    // Quotient, difference and product of values up to 1, times at most 4.
    expect_within(out, reference::image_batch(s, images, index), roundoff(3, Values(out.values().size(), 4)));
    EXPECT_TRUE(out.intact());
  }
}

TEST_P(ImageBatch, without_augmentation_is_the_normalised_image) {
  const ImageBatchShape s{.n = 1, .h = 1, .w = 2, .c = 1, .mean = {0.5f}, .inverse_std = {2}, .key = kKey};
  const std::vector<uint8_t> images = {9, 9, 0, 255};
  const std::vector<int32_t> index = {1};
  GuardedArray out(2);
  kernels().image_batch(stream, s, in(images), in(index), out.data());
  EXPECT_EQ(out.values(), (std::vector<float>{-1, 1}));
}

TEST_P(ImageBatch, every_offset_and_both_directions_occur) {
  // One bright pixel in the middle of a 5x5 image lands wherever crop and flip send it.
  const int64_t count = 400;
  const ImageBatchShape s{.n = count, .h = 5, .w = 5, .c = 1, .crop_pad = 2, .flip = true, .key = kKey};
  std::vector<uint8_t> images(static_cast<size_t>(count * 25));
  std::vector<int32_t> index;
  for (int32_t i = 0; i < count; ++i) {
    images[static_cast<size_t>(i * 25 + 12)] = 255;
    index.push_back(i);
  }
  GuardedArray out(count * 25);
  kernels().image_batch(stream, s, in(images), in(index), out.data());
  std::set<int64_t> places;
  const std::vector<float> values = out.values();
  for (int64_t i = 0; i < count * 25; ++i) {
    if (values[static_cast<size_t>(i)] == 1) places.insert(i % 25);
  }
  EXPECT_EQ(places.size(), 25u);
}

TEST_P(ImageBatch, an_image_is_augmented_alike_wherever_it_stands_in_the_batch) {
  Draw draw(82);
  const ImageBatchShape s{.n = 2, .h = 6, .w = 7, .c = 3, .crop_pad = 3, .flip = true, .key = kKey};
  const std::vector<uint8_t> images = draw_images(draw, 5 * 6 * 7 * 3);
  const std::vector<int32_t> index = {4, 1}, swapped = {1, 4};
  const size_t half = 6 * 7 * 3;
  GuardedArray a(2 * half), b(2 * half);
  kernels().image_batch(stream, s, in(images), in(index), a.data());
  kernels().image_batch(stream, s, in(images), in(swapped), b.data());
  const std::vector<float> in_order = a.values(), in_other = b.values();
  EXPECT_EQ(std::memcmp(in_order.data(), in_other.data() + half, half * sizeof(float)), 0);
  EXPECT_EQ(std::memcmp(in_order.data() + half, in_other.data(), half * sizeof(float)), 0);
}

TEST_P(ImageBatch, has_the_same_bits_on_every_backend) {
  Draw draw(84);
  ImageBatchShape s{.n = 5, .h = 9, .w = 11, .c = 3, .crop_pad = 2, .flip = true, .key = kKey};
  for (int c = 0; c < 3; ++c) {
    s.mean[c] = draw.real(0, 1);
    s.inverse_std[c] = draw.real(1, 4);
  }
  const std::vector<uint8_t> images = draw_images(draw, 8 * 9 * 11 * 3);
  const std::vector<int32_t> index = {7, 0, 3, 3, 5};
  std::vector<float> expected(5 * 9 * 11 * 3);
  cpu_kernel_tables().front()->image_batch({}, s, images.data(), index.data(), expected.data());
  GuardedArray out(static_cast<int64_t>(expected.size()));
  kernels().image_batch(stream, s, in(images), in(index), out.data());
  EXPECT_EQ(out.values(), stored(expected));
}

TEST_P(ImageBatch, gives_the_same_bits_on_every_run) {
  Draw draw(83);
  const ImageBatchShape s{.n = 64, .h = 32, .w = 32, .c = 3, .crop_pad = 4, .flip = true, .key = kKey};
  const std::vector<uint8_t> images = draw_images(draw, 50 * 32 * 32 * 3);
  const std::vector<int32_t> index = draw.labels(s.n, 50);
  const uint8_t* const on_images = in(images);
  const int32_t* const on_index = in(index);
  expect_same_bits_on_every_run(
      s.n * 32 * 32 * 3, [&](const Stream& on, Array out) { kernels().image_batch(on, s, on_images, on_index, out); });
}

}  // namespace
}  // namespace convoy
