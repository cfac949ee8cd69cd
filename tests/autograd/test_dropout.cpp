#include "tests/autograd/error_test.h"
#include "tests/gradcheck.h"

namespace convoy {
namespace {

class DropoutGradient : public AutogradOnEveryIsa {};
INSTANTIATE_FOR_EVERY_ISA(DropoutGradient);

const RandomKey kKey{.seed = 3, .stream = RandomStream::dropout, .step = 5, .member = 2};

TEST_P(DropoutGradient, matches_the_numeric_one) {
  Draw draw(1);
  for (const float probability : {0.0f, 0.25f, 0.9f, 1.0f}) {
    for (const int64_t count : {1, 5, 67}) {
      const uint64_t offset = static_cast<uint64_t>(count) * 3;
      check_gradients({.inputs = {{"x", {count}, draw.reals(count)}},
                       .function = [=](const auto& v) { return dropout(v[0], probability, kKey, offset); },
                       .reference = [=](const auto& v) { return reference::dropout(probability, kKey, offset, v[0]); },
                       .terms = 2});
    }
  }
}

TEST(Dropout, shards_that_know_their_offset_draw_what_the_whole_would) {
  const Tensor x = Tensor::full({31, 3}, 1);
  const std::vector<float> whole = values_of(dropout(Variable(x), 0.5f, kKey).value());
  std::vector<float> shards = values_of(dropout(Variable(x.slice(0, 13)), 0.5f, kKey).value());
  const std::vector<float> rest = values_of(dropout(Variable(x.slice(13, 31)), 0.5f, kKey, 39).value());
  shards.insert(shards.end(), rest.begin(), rest.end());
  EXPECT_EQ(shards, whole);
}

TEST(Dropout, a_probability_outside_0_to_1_is_refused) {
  const Variable x(Tensor::zeros({2}));
  EXPECT_USAGE_ERROR(dropout(x, -0.1f, kKey), "dropout: probability -0.1, expected 0 to 1");
  EXPECT_USAGE_ERROR(dropout(x, 1.5f, kKey), "dropout: probability 1.5, expected 0 to 1");
}

}  // namespace
}  // namespace convoy
