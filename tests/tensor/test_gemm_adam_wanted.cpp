// Which weights are updated in the pass that computes their gradient.
#include "tensor/cpu/gemm_adam_wanted.h"

#include <gtest/gtest.h>

namespace convoy {
namespace {

bool wanted(int64_t m, int64_t n, int64_t k) { return gemm_adam_wanted(Device{}, m, n, k); }

TEST(GemmAdamWanted, large_weights_with_rows_that_do_not_compete_for_the_cache) {
  EXPECT_TRUE(wanted(128, 21632, 64)) << "mnist-cnn";
  EXPECT_FALSE(wanted(10, 128, 64)) << "small";
  EXPECT_TRUE(wanted(127, 2065, 64));
  EXPECT_FALSE(wanted(126, 2065, 64)) << "a little too small";
  EXPECT_FALSE(wanted(512, 512, 64)) << "six of its rows would find room, fourteen do not";
  EXPECT_FALSE(gemm_adam_wanted({Device::Kind::cuda, 0}, 128, 21632, 64)) << "a kernel of the CPU";
  EXPECT_FALSE(wanted(512, 2048, 64)) << "rows of a power of two";
  EXPECT_TRUE(wanted(512, 2064, 64));
}

TEST(GemmAdamWanted, terms_that_are_enough_to_hide_memory_and_not_too_many) {
  EXPECT_FALSE(wanted(128, 21632, 15));
  EXPECT_TRUE(wanted(128, 21632, 16));
  EXPECT_TRUE(wanted(128, 21632, kMostGemmAdamTerms));
  EXPECT_FALSE(wanted(128, 21632, kMostGemmAdamTerms + 1));
}

}  // namespace
}  // namespace convoy
