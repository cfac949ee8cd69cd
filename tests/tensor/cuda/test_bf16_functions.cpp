// Differentiable functions on bf16 activations with f32 parameters, against the same in f32: on small integers, which both
// types hold exactly, values and all gradients are equal.
#include <gtest/gtest.h>

#include "autograd/autograd.h"
#include "tensor/cuda/cuda.h"
#include "tests/tensor/kernel_test.h"

namespace convoy {
namespace {

class Bf16Functions : public testing::Test {
 protected:
  void SetUp() override {
    if (!cuda::unavailable().empty()) GTEST_SKIP() << cuda::unavailable();
    stream_ = cuda::make_stream(0);
    set_current_stream(stream_);
  }
  void TearDown() override {
    set_current_stream(before_);
    if (stream_.handle != nullptr) cuda::end_stream(stream_);
  }

  Variable integers(const Shape& shape) { return Variable(Tensor::from(draw_.reals(shape.count()), shape), true); }

  // Compares y = function(x) and the gradients of `leaves`, x among them, where x is f32 and where it is bf16.
  void expect_equal_in_both_types(Variable x, std::vector<Variable> leaves,
                                  const std::function<Variable(const Variable& x)>& function) {
    leaves.push_back(x);
    std::vector<std::vector<float>> results[2];
    Variable dy;
    for (const DType type : {DType::f32, DType::bf16}) {
      for (Variable& leaf : leaves) leaf.clear_grad();
      const Variable y = function(convert(x, type));
      EXPECT_EQ(y.value().dtype(), type);
      if (!dy.defined()) dy = integers(y.shape());
      const Variable wide = convert(y, DType::f32);
      sum(apply(Binary::multiply, wide, dy)).backward();
      auto& result = results[type == DType::bf16];
      result.push_back(values_of(wide.value()));
      for (const Variable& leaf : leaves) result.push_back(values_of(leaf.grad()));
    }
    EXPECT_EQ(results[0], results[1]);
  }

 private:
  static std::vector<float> values_of(const Tensor& tensor) {
    const Tensor host = tensor.to(Device{});
    return {host.data<float>(), host.data<float>() + host.count()};
  }

  const Stream before_ = current_stream();
  Stream stream_;
  Draw draw_ = Draw::of_integers(1);
};

TEST_F(Bf16Functions, conv2d_equals_the_one_in_f32) {
  for (const int64_t channels : {3, 8}) {  // the direct kernels; tensor cores
    const Variable x = integers({2, 5, 4, channels}), w = integers({3, 3, 2, channels}), bias = integers({3});
    for (const bool relu : {false, true}) {
      expect_equal_in_both_types(x, {w, bias}, [&](const Variable& in) {
        return conv2d(in, w, bias, {1, 1}, {1, 1}, relu);
      });
    }
  }
}

TEST_F(Bf16Functions, linear_equals_the_one_in_f32) {
  const Variable x = integers({5, 16}), w = integers({7, 16}), bias = integers({7});
  for (const bool relu : {false, true})
    expect_equal_in_both_types(x, {w, bias}, [&](const Variable& in) { return linear(in, w, bias, relu); });
}

TEST_F(Bf16Functions, a_sum_of_two_ways_adds_up_gradients_in_bf16) {
  const Variable x = integers({3, 4, 4, 8});
  expect_equal_in_both_types(x, {}, [&](const Variable& in) {
    return add(max_pool2d(relu(in), {2, 2}, {2, 2}, {0, 0}), average_pool2d(scale(in, 4), {2, 2}, {2, 2}, {0, 0}));
  });
}

}  // namespace
}  // namespace convoy
