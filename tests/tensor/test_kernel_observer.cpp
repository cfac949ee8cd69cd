// Observers of kernels: what they are told, costs above all, and that nothing is changed by looking.
#include "tensor/kernel_observer.h"

#include <gtest/gtest.h>

#include <vector>

#include "tensor/error.h"
#include "tensor/ops.h"

namespace convoy {
namespace {

// The only addresses that costs look at: null or not.
float f[1];
uint8_t u[1];
int32_t i[1];

struct CostCase {
  const char* kernel;
  KernelCost cost;
  double flops, bytes;
};

TEST(KernelCost, is_the_flops_of_the_definition_and_every_operand_once) {
  const GemmShape gemm{.m = 3, .n = 5, .k = 7};
  const Conv2dShape conv{.n = 2, .h = 7, .w = 5, .c = 3, .k = 4, .r = 3, .s = 2, .stride_h = 2, .pad_h = 1};
  ASSERT_EQ(conv.p(), 4);
  ASSERT_EQ(conv.q(), 4);
  const double x = 2 * 7 * 5 * 3, w = 4 * 3 * 2 * 3, y = 2 * 4 * 4 * 4, conv_flops = 2 * y * 18;
  const Pool2dShape pool{.n = 2, .h = 5, .w = 7, .c = 3, .r = 2, .s = 3, .stride_h = 2, .stride_w = 3};
  const double pool_x = 2 * 5 * 7 * 3, pool_y = 2 * 2 * 2 * 3;
  const ParameterSlice slices[] = {{.count = 11, .first = f}, {.count = 2, .first = f}},
                       without_momentum[] = {{.count = 13}};
  const std::span<const ParameterSlice> two(slices), one(without_momentum);
  const Epilogue none, bias{.bias = f}, statistics{.mean = f, .variance = f};
  const ImageBatchShape images{.n = 2, .h = 3, .w = 5, .c = 3, .key = {}};
  using namespace cost_of;
  for (const CostCase& c : std::vector<CostCase>{
           {"gemm", cost_of::gemm(gemm, f, f, none, false, f), 210, 4 * (21 + 35 + 15)},
           {"gemm +=, bias", cost_of::gemm(gemm, f, f, bias, true, f), 210, 4 * (21 + 35 + 15 + 15 + 5)},
           {"gemm, gated", cost_of::gemm(gemm, f, f, {.gate = f}, false, f), 210, 4 * (21 + 35 + 15 + 15)},
           {"conv2d_forward", conv2d_forward(conv, f, f, none, f), conv_flops, 4 * (x + w + y)},
           {"conv2d_forward, statistics", conv2d_forward(conv, f, f, statistics, f), conv_flops, 4 * (x + w + y + 8)},
           {"conv2d_backward_input", conv2d_backward_input(conv, f, f, false, f), conv_flops, 4 * (x + w + y)},
           {"conv2d_backward_weight +=", conv2d_backward_weight(conv, f, f, true, f), conv_flops, 4 * (x + 2 * w + y)},
           {"max_pool_forward", max_pool_forward(pool, f, f, u), 0, 4 * (pool_x + pool_y) + pool_y},
           {"max_pool_backward +=", max_pool_backward(pool, f, u, true, f), 0, 4 * (2 * pool_x + pool_y) + pool_y},
           {"average_pool_forward", average_pool_forward(pool, f, f), 0, 4 * (pool_x + pool_y)},
           {"average_pool_backward", average_pool_backward(pool, f, false, f), 0, 4 * (pool_x + pool_y)},
           {"batch_norm_statistics", batch_norm_statistics(7, 3, f, f, f), 0, 4 * (21 + 6)},
           {"batch_norm_normalize", batch_norm_normalize(7, 3, f, f, f, 0, f, f, true, f), 0, 4 * (42 + 12)},
           {"batch_norm_backward_reduce", batch_norm_backward_reduce(7, 3, f, f, f, f, 0, f, f, true, f, f), 0,
            4 * (42 + 18)},
           {"batch_norm_backward_input", batch_norm_backward_input(7, 3, 7, f, f, f, f, 0, f, f, true, f, f, false, f),
            0, 4 * (63 + 18)},
           {"batch_norm_max_pool", batch_norm_max_pool(pool, f, f, f, 0, f, f, true, f, f, u), 0,
            4 * (pool_x + 12 + 2 * pool_y) + pool_y},
           {"batch_norm_max_pool, no gradient wanted",
            batch_norm_max_pool(pool, f, f, f, 0, f, f, true, f, nullptr, nullptr), 0, 4 * (pool_x + 12 + pool_y)},
           {"batch_norm_max_pool_backward_input +=",
            batch_norm_max_pool_backward_input(pool, 70, f, f, u, f, f, 0, f, f, true, f, f, true, f), 0,
            4 * (3 * pool_x + 18 + pool_y) + pool_y},
           {"batch_norm_update_running", batch_norm_update_running(7, 3, 0.1f, f, f, f, f), 0, 4 * 18},
           {"unary_forward", unary_forward(Unary::relu, 7, f, f), 0, 4 * 14},
           {"unary_backward +=", unary_backward(Unary::relu, 7, f, f, true, f), 0, 4 * 28},
           {"binary_forward", binary_forward(Binary::add, 7, f, f, f), 0, 4 * 21},
           {"binary_backward of a", binary_backward(Binary::add, 7, f, f, f, false, f, false, nullptr), 0, 4 * 28},
           {"binary_backward", binary_backward(Binary::add, 7, f, f, f, true, f, false, f), 0, 4 * 42},
           {"scale", cost_of::scale(7, 2, f, f), 0, 4 * 14},
           {"dropout", cost_of::dropout(7, 0.5f, {}, 0, f, f), 0, 4 * 14},
           {"fill", fill(7, 1, f), 0, 4 * 7},
           {"convert to bf16", cost_of::convert(7, f, Array(static_cast<Bf16*>(static_cast<void*>(f)))), 0,
            7 * (4 + 2)},
           {"bias_forward", bias_forward(7, 3, f, f, f), 0, 4 * (42 + 3)},
           {"column_sum +=", column_sum(7, 3, f, true, f), 0, 4 * (21 + 6)},
           {"bias_relu_backward", bias_relu_backward(7, 3, f, f, f, false, f), 0, 4 * (63 + 3)},
           {"bias_relu_backward, no bias", bias_relu_backward(7, 3, f, f, f, false, nullptr), 0, 4 * 63},
           {"sum", cost_of::sum(7, f, f), 0, 4 * 8},
           {"argmax", cost_of::argmax(7, 3, f, i), 0, 4 * 28},
           {"count_nonfinite", cost_of::count_nonfinite(7, f, i), 0, 4 * 8},
           {"softmax_cross_entropy_forward", softmax_cross_entropy_forward(7, 3, f, i, 0, f, f), 0, 4 * (42 + 14)},
           {"softmax_cross_entropy_backward", softmax_cross_entropy_backward(7, 3, f, i, 0, f, 1, false, f), 0,
            4 * (42 + 7)},
           {"sgd_step", sgd_step({}, one), 0, 4 * 3 * 13},
           {"sgd_step, momentum", sgd_step({}, two), 0, 4 * 5 * 13},
           {"adam_step", adam_step({}, two), 0, 4 * 7 * 13},
           {"gemm_adam_step", gemm_adam_step(7, 3, 5, f, f, {}, {}), 2 * 7 * 3 * 5, 4 * (35 + 15 + 6 * 21)},
           {"clip_scale", clip_scale(1, two, f), 0, 4 * (13 + 1)},
           {"average_step", average_step(0.5f, two), 0, 4 * 3 * 13},
           {"image_batch", image_batch(images, u, i, f), 0, 90 + 4 * 2 + 4 * 90},
       }) {
    EXPECT_EQ(c.cost.flops, c.flops) << c.kernel;
    EXPECT_EQ(c.cost.bytes, c.bytes) << c.kernel;
  }
}

TEST(KernelObserver, is_told_of_each_kernel_and_leaves_results_as_they_are) {
  const Tensor x = Tensor::full({2, 5, 7, 3}, 0.5f), w = Tensor::full({4, 3, 3, 3}, 0.25f);
  const auto compute = [&] { return sum(conv2d(x, w, Tensor(), {1, 1}, {1, 1}, true)).item(); };
  const Kernels* const before = &kernels(Device{});
  const float expected = compute();
  std::vector<KernelCall> calls;
  {
    const KernelObserver observer([&](const KernelCall& call) { calls.push_back(call); });
    EXPECT_STREQ(kernels(Device{}).name, before->name);
    EXPECT_EQ(compute(), expected);
  }
  EXPECT_EQ(&kernels(Device{}), before);
  compute();
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_STREQ(calls[0].kernel, "conv2d_forward");
  EXPECT_EQ(calls[0].cost.flops, 2.0 * (2 * 5 * 7) * 4 * 27);
  EXPECT_STREQ(calls[0].variant, "gemm");
  EXPECT_STREQ(calls[1].kernel, "sum");
  EXPECT_EQ(calls[1].variant, nullptr);
  EXPECT_LE(calls[0].begin, calls[0].end);
  EXPECT_LE(calls[0].end, calls[1].begin);
}

TEST(KernelObserver, is_told_which_function_and_which_algorithm) {
  std::vector<std::string> variants;
  const KernelObserver observer([&](const KernelCall& call) {
    if (call.variant != nullptr) variants.push_back(call.variant);
  });
  const auto convolve = [](ConvolutionAlgorithm algorithm, int64_t channels, int64_t filter) {
    Stream stream = current_stream();
    stream.convolution = algorithm;
    const StreamScope scope(stream);
    conv2d(Tensor::full({1, 8, 8, channels}, 1), Tensor::full({16, filter, filter, channels}, 1), Tensor(), {1, 1},
           {1, 1}, false);
  };
  convolve(ConvolutionAlgorithm::automatic, 16, 3);
  convolve(ConvolutionAlgorithm::automatic, 3, 3);
  convolve(ConvolutionAlgorithm::winograd, 3, 3);
  convolve(ConvolutionAlgorithm::winograd, 16, 5);  // which it cannot do
  convolve(ConvolutionAlgorithm::gemm, 16, 3);
  apply(Unary::tanh, Tensor::full({3}, 1));
  EXPECT_EQ(variants, (std::vector<std::string>{"winograd", "gemm", "winograd", "gemm", "gemm", "tanh"}));
}

TEST(KernelObserver, there_is_one_at_a_time) {
  const Kernels* const before = &kernels(Device{});
  int calls = 0;
  {
    const KernelObserver first([&](const KernelCall&) { ++calls; });
    EXPECT_THROW(KernelObserver([](const KernelCall&) {}), Error);
    Tensor::full({3}, 1);
  }
  EXPECT_EQ(calls, 1);
  const KernelObserver another([&](const KernelCall&) { ++calls; });
  Tensor::full({3}, 1);
  EXPECT_EQ(calls, 2);
  EXPECT_NE(&kernels(Device{}), before);
}

}  // namespace
}  // namespace convoy
