// Which convolutions the CPU does by Winograd's algorithm.
#include "tensor/cpu/winograd_wanted.h"

#include <gtest/gtest.h>

namespace convoy {
namespace {

using Algorithm = ConvolutionAlgorithm;

bool wanted(Algorithm algorithm, const Conv2dShape& shape) {
  return winograd_wanted({.convolution = algorithm}, shape);
}

// A 3 x 3 layer that keeps the size of its image.
Conv2dShape layer(int64_t size, int64_t c, int64_t k) {
  return {.n = 1, .h = size, .w = size, .c = c, .k = k, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
}

TEST(WinogradWanted, automatic_takes_it_where_it_saves_time) {
  EXPECT_TRUE(wanted(Algorithm::automatic, layer(32, 64, 64)));
  EXPECT_TRUE(wanted(Algorithm::automatic, layer(4, 16, 16)));
  EXPECT_FALSE(wanted(Algorithm::automatic, layer(32, 15, 64))) << "too few channels";
  EXPECT_FALSE(wanted(Algorithm::automatic, layer(32, 64, 15))) << "too few filters";
  EXPECT_FALSE(wanted(Algorithm::automatic, layer(2, 64, 64))) << "tiles that mostly overhang";
  EXPECT_TRUE(wanted(Algorithm::automatic, layer(3, 64, 64))) << "81 multiplications become 36, which is just enough";
  EXPECT_FALSE(wanted(Algorithm::automatic, layer(5, 64, 64))) << "225 become 144";
}

TEST(WinogradWanted, does_not_depend_on_the_number_of_images) {
  for (const int64_t n : {0, 1, 2, 1000}) {
    Conv2dShape large = layer(32, 64, 64), small = layer(5, 64, 64);
    large.n = small.n = n;
    EXPECT_TRUE(wanted(Algorithm::automatic, large));
    EXPECT_FALSE(wanted(Algorithm::automatic, small));
  }
}

TEST(WinogradWanted, is_taken_or_left_as_asked_for_where_it_is_possible) {
  EXPECT_TRUE(wanted(Algorithm::winograd, layer(5, 1, 1)));
  EXPECT_FALSE(wanted(Algorithm::gemm, layer(32, 64, 64)));
  Conv2dShape strided = layer(32, 64, 64), wide = layer(32, 64, 64);
  strided.stride_w = 2;
  wide.s = 5;
  for (const Algorithm algorithm : {Algorithm::automatic, Algorithm::winograd}) {
    EXPECT_FALSE(wanted(algorithm, strided));
    EXPECT_FALSE(wanted(algorithm, wide));
  }
}

}  // namespace
}  // namespace convoy
