// Shapes, and the output extents of convolutions.

#include "tensor/shape.h"

#include "tensor/conv_shape.h"
#include "tensor/tensor.h"
#include "tests/tensor/error_message.h"

namespace convoy {
namespace {

TEST(Shape, of_rank_0_is_a_scalar) {
  EXPECT_EQ(Shape().rank(), 0);
  EXPECT_EQ(Shape().count(), 1);
  EXPECT_EQ(Shape().text(), "[]");
}

TEST(Shape, knows_its_extents_count_and_text) {
  const Shape shape{8, 32, 32, 3};
  EXPECT_EQ(shape.rank(), 4);
  EXPECT_EQ(shape[1], 32);
  EXPECT_EQ(shape[3], 3);
  EXPECT_EQ(shape.count(), 8 * 32 * 32 * 3);
  EXPECT_EQ(shape.text(), "[8,32,32,3]");
  EXPECT_EQ(fmt::format("{}", shape), "[8,32,32,3]");
  EXPECT_EQ(shape.extents().size(), 4u);
}

TEST(Shape, with_an_extent_0_has_no_elements) { EXPECT_EQ((Shape{3, 0, 5}).count(), 0); }

TEST(Shape, equality_includes_the_rank) {
  EXPECT_EQ((Shape{2, 3}), (Shape{2, 3}));
  EXPECT_NE((Shape{2, 3}), (Shape{3, 2}));
  EXPECT_NE((Shape{2, 3}), (Shape{2, 3, 1}));
  EXPECT_NE(Shape(), Shape{0});
}

TEST(Shape, refuses_seven_axes_negative_extents_and_counts_whose_bytes_overflow) {
  EXPECT_EQ((Shape{1, 1, 1, 1, 1, 1}).rank(), 6);
  EXPECT_STREQ(error_of([] { Shape{1, 1, 1, 1, 1, 1, 1}; }).what(), "shape: 7 axes, at most 6 are supported");
  EXPECT_STREQ(error_of([] { Shape{2, -1}; }).what(), "shape: extent -1 is negative in [2,-1]");
  EXPECT_STREQ(error_of([] {
                 Shape{int64_t{1} << 40, int64_t{1} << 40};
               }).what(),
               "shape: [1099511627776,1099511627776] has more elements than 64 bits can count the bytes of");
  constexpr int64_t kLargest = (int64_t{1} << 60) - 1;
  EXPECT_EQ((Shape{kLargest, 1}).count(), kLargest);
  EXPECT_STREQ(error_of([] { Shape{kLargest + 1}; }).what(),
               "shape: [1152921504606846976] has more elements than 64 bits can count the bytes of");
  EXPECT_EQ(error_of([] { Tensor::empty({kLargest}); }).kind(), ErrorKind::device) << "only memory is missing";
}

TEST(ConvShape, output_extents_follow_the_formula) {
  constexpr Conv2dShape stem{
      .n = 2, .h = 32, .w = 28, .c = 3, .k = 64, .r = 3, .s = 5, .stride_h = 2, .stride_w = 1, .pad_h = 1, .pad_w = 2};
  static_assert(stem.p() == 16 && stem.q() == 28 && stem.taps() == 45);
  static_assert(stem.output_pixels() == 2 * 16 * 28 && stem.multiply_adds() == 2 * 16 * 28 * 64 * 45);
  constexpr Pool2dShape pool{.n = 1, .h = 13, .w = 7, .c = 1, .r = 2, .s = 2, .stride_h = 2, .stride_w = 2};
  static_assert(pool.p() == 6 && pool.q() == 3);
}

}  // namespace
}  // namespace convoy
