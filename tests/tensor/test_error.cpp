// Error messages: kinds, formatting, and the nearest known name.

#include <array>

#include "tests/tensor/error_message.h"

namespace convoy {
namespace {

const std::array<std::string, 4> kModels = {"lenet5", "mnist-cnn", "cifar-cnn", "resnet18"};

TEST(Error, check_passes_silently_and_fails_with_the_formatted_message) {
  EXPECT_NO_THROW(CHECK(1 < 2, "never {}", 1));
  const Error error = error_of([] { CHECK(2 < 1, "conv2d: {} channels, weight expects {}", 3, 16); });
  EXPECT_EQ(error.kind(), ErrorKind::usage);
  EXPECT_STREQ(error.what(), "conv2d: 3 channels, weight expects 16");
}

TEST(Error, check_evaluates_its_arguments_once_and_nests_in_if_else) {
  int evaluations = 0;
  if (evaluations == 0)
    CHECK(++evaluations > 0, "never");
  else
    FAIL();
  EXPECT_EQ(evaluations, 1);
}

TEST(Error, fail_carries_the_kind_which_is_the_exit_code) {
  EXPECT_EQ(error_of([] { fail(ErrorKind::data, "{}: truncated", "a.bin"); }).kind(), ErrorKind::data);
  EXPECT_EQ(static_cast<int>(ErrorKind::usage), 2);
  EXPECT_EQ(static_cast<int>(ErrorKind::numeric), 4);
}

TEST(Error, nearest_name_corrects_a_typing_error) {
  EXPECT_EQ(nearest_name("resnt18", kModels), "resnet18");
  EXPECT_EQ(nearest_name("lenet", kModels), "lenet5");
  EXPECT_EQ(nearest_name("cnn-mnist", kModels), "");
  EXPECT_EQ(nearest_name("mnist_cnn", kModels), "mnist-cnn");
}

TEST(Error, nearest_name_stays_silent_when_nothing_is_near) {
  EXPECT_EQ(nearest_name("transformer-xl", kModels), "");
  EXPECT_EQ(nearest_name("lenet5", {}), "");
}

TEST(Error, unknown_name_lists_the_known_ones_and_suggests_the_nearest) {
  EXPECT_STREQ(unknown_name("model", "resnt18", kModels).what(),
               "unknown model 'resnt18', did you mean 'resnet18'? Known: lenet5, mnist-cnn, cifar-cnn, resnet18");
  EXPECT_STREQ(unknown_name("model", "transformer-xl", kModels).what(),
               "unknown model 'transformer-xl'. Known: lenet5, mnist-cnn, cifar-cnn, resnet18");
}

}  // namespace
}  // namespace convoy
