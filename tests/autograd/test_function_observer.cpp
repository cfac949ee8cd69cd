// Observers see every differentiable function with what it was given.
#include "autograd/function_observer.h"

#include <gtest/gtest.h>

#include <string>

#include "autograd/autograd.h"

namespace convoy {
namespace {

std::string text_of(Window window) { return fmt::format("{}x{}", window.h, window.w); }

// What runs under an observer, one call a line: "conv2d 1x1 stride 2x1 pad 0x1 relu".
template <class Action>
std::string calls_of(Action&& action) {
  std::string text;
  const FunctionObserver observer([&](const FunctionCall& call) {
    const auto& [size, stride, pad, relu, running] = call.arguments;
    text += fmt::format("{} {} stride {} pad {}{}{}\n", call.function, text_of(size), text_of(stride), text_of(pad),
                        relu ? " relu" : "", running != nullptr ? " running" : "");
  });
  action();
  return text;
}

TEST(FunctionObserver, sees_the_arguments_of_every_function_that_has_some) {
  const Variable x(Tensor::full({1, 4, 4, 2}, 1)), w(Tensor::full({3, 2, 1, 2}, 1)), none;
  const Variable features(Tensor::full({1, 2}, 1)), matrix(Tensor::full({3, 2}, 1)), vector(Tensor::full({2}, 1));
  BatchNormState state{.running_mean = Tensor::full({2}, 0), .running_variance = Tensor::full({2}, 1)};
  EXPECT_EQ(calls_of([&] {
              conv2d(x, w, none, {2, 1}, {0, 1}, true);
              linear(features, matrix, none);
              linear(features, matrix, none, true);
              max_pool2d(x, {2, 3}, {1, 2}, {1, 0});
              average_pool2d(x, {3, 2}, {2, 1}, {0, 1});
              global_average_pool2d(x);
              batch_norm(x, vector, vector, state, false, true);
              batch_norm(x, vector, vector, state, true);
              flatten(relu(add(x, x)));
            }),
            "conv2d 1x1 stride 2x1 pad 0x1 relu\n"
            "linear 1x1 stride 1x1 pad 0x0\n"
            "linear 1x1 stride 1x1 pad 0x0 relu\n"
            "max_pool2d 2x3 stride 1x2 pad 1x0\n"
            "average_pool2d 3x2 stride 2x1 pad 0x1\n"
            "average_pool2d 4x4 stride 1x1 pad 0x0\n"
            "batch_norm 1x1 stride 1x1 pad 0x0 relu running\n"
            "batch_norm 1x1 stride 1x1 pad 0x0\n"
            "add 1x1 stride 1x1 pad 0x0\n"
            "relu 1x1 stride 1x1 pad 0x0\n"
            "reshape 1x1 stride 1x1 pad 0x0\n");
}

TEST(FunctionObserver, knows_inputs_and_results_by_their_handles_also_without_gradients) {
  const Variable x(Tensor::full({1, 2}, 1)), w(Tensor::full({3, 2}, 1), true);
  const NoGrad no_grad;
  std::vector<Variable> results;
  const FunctionObserver observer([&](const FunctionCall& call) {
    if (results.empty()) {
      ASSERT_EQ(call.inputs.size(), 3u);
      EXPECT_TRUE(call.inputs[0].same_as(x));
      EXPECT_TRUE(call.inputs[1].same_as(w));
      EXPECT_FALSE(call.inputs[1].same_as(x));
      EXPECT_FALSE(call.inputs[2].defined());
    } else {
      EXPECT_TRUE(call.inputs[0].same_as(results[0]));
    }
    results.push_back(call.result);
  });
  const Variable y = relu(linear(x, w, {}));
  ASSERT_EQ(results.size(), 2u);
  EXPECT_TRUE(y.same_as(results[1]));
}

TEST(FunctionObserver, tells_inner_observers_first_and_stops_with_them) {
  const Variable x(Tensor::full({1}, 1));
  std::string order;
  const FunctionObserver outer([&](const FunctionCall&) { order += "outer "; });
  {
    const FunctionObserver inner([&](const FunctionCall&) { order += "inner "; });
    relu(x);
  }
  relu(x);
  EXPECT_EQ(order, "inner outer outer ");
}

}  // namespace
}  // namespace convoy
