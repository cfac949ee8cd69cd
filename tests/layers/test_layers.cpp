// Modules: initial values, containers, fused activations, observers, dropout.
#include "layers/layers.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <span>

#include "layers/models.h"
#include "tensor/kernel_observer.h"

namespace convoy {
namespace {

Tensor random_tensor(const Shape& shape, uint64_t seed) {
  Tensor tensor = Tensor::empty(shape);
  for (int64_t i = 0; i < tensor.count(); ++i)
    tensor.data<float>()[i] = 2 * random_uniform({.seed = seed}, static_cast<uint64_t>(i)) - 1;
  return tensor;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0;
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// --- initial values ---

TEST(Initialise, weights_and_biases_are_uniform_within_one_over_the_root_of_fan_in) {
  Conv2d conv({.in = 16, .out = 64, .kernel = {3, 5}});
  Linear linear(300, 200);
  initialise(conv, 3);
  initialise(linear, 3);
  const struct {
    Tensor values;
    double fan_in;
  } cases[] = {{conv.parameters()[0].variable.value(), 16 * 15},
               {conv.parameters()[1].variable.value(), 16 * 15},
               {linear.parameters()[0].variable.value(), 300},
               {linear.parameters()[1].variable.value(), 300}};
  for (const auto& [values, fan_in] : cases) {
    const double bound = 1 / std::sqrt(fan_in), n = static_cast<double>(values.count());
    double sum = 0, squares = 0, largest = 0;
    for (int64_t i = 0; i < values.count(); ++i) {
      const double value = values.data<float>()[i];
      sum += value;
      squares += value * value;
      largest = std::max(largest, std::abs(value));
    }
    EXPECT_LE(largest, bound * (1 + 1e-6));    // the bound itself is rounded to float
    EXPECT_GE(largest, bound * (1 - 10 / n));  // 10/n: missed with probability e^-10
    // A uniform variable has variance bound^2/3, its square bound^4 * 4/45; five standard errors either way.
    EXPECT_NEAR(sum / n, 0, 5 * bound / std::sqrt(3 * n));
    EXPECT_NEAR(squares / n, bound * bound / 3, 5 * bound * bound * std::sqrt(4.0 / 45 / n));
  }
}

TEST(Initialise, weight_and_bias_draw_different_numbers) {
  Linear linear(1, 8);  // fan_in 1: both uniform in [-1, 1)
  initialise(linear, 1);
  EXPECT_NE(linear.parameters()[0].variable.value().data<float>()[0],
            linear.parameters()[1].variable.value().data<float>()[0]);
}

TEST(Initialise, batch_norm_starts_as_the_identity) {
  BatchNorm2d norm(5);
  for (NamedVariable& entry : norm.parameters()) entry.variable.value().data<float>()[3] = 9;
  for (NamedVariable& entry : norm.buffers()) entry.variable.value().data<float>()[3] = 9;
  initialise(norm, 1);
  for (int64_t c = 0; c < 5; ++c) {
    EXPECT_EQ(norm.parameters()[0].variable.value().data<float>()[c], 1);
    EXPECT_EQ(norm.parameters()[1].variable.value().data<float>()[c], 0);
    EXPECT_EQ(norm.buffers()[0].variable.value().data<float>()[c], 0);
    EXPECT_EQ(norm.buffers()[1].variable.value().data<float>()[c], 1);
  }
}

TEST(Initialise, depends_on_the_seed_and_the_name_alone) {
  const auto first = make_model("mnist-cnn", {8, 8, 1}, 10), second = make_model("mnist-cnn", {8, 8, 1}, 10);
  // The same fc2 behind another conv1: its own values must not change.
  const auto other_input = make_model("mnist-cnn", {9, 9, 3}, 10);
  initialise(*first, 7);
  initialise(*second, 7);
  initialise(*other_input, 7);
  const auto a = first->parameters(), b = second->parameters(), c = other_input->parameters();
  for (size_t i = 0; i < a.size(); ++i)
    EXPECT_TRUE(same_bits(a[i].variable.value(), b[i].variable.value())) << a[i].name;
  ASSERT_EQ(c[4].name, "fc2.weight");
  EXPECT_TRUE(same_bits(a[4].variable.value(), c[4].variable.value()));
  initialise(*second, 8);
  for (size_t i = 0; i < a.size(); ++i)
    EXPECT_FALSE(same_bits(a[i].variable.value(), b[i].variable.value())) << a[i].name;
}

TEST(Initialise, layers_of_the_same_shape_draw_different_numbers) {
  const auto model = make_model("flatten; linear 4; relu; linear 4", {1, 1, 4}, 4);
  initialise(*model, 1);
  EXPECT_FALSE(same_bits(model->parameters()[0].variable.value(), model->parameters()[2].variable.value()));
}

// --- containers ---

TEST(Sequential, names_count_every_layer_as_pytorch_does) {
  const auto model = parse_description("conv 4 3x3; bn; relu; maxpool 2; flatten; linear 10", {8, 8, 1}, 10);
  std::string names;
  for (const auto& entry : model->parameters()) names += entry.name + " ";
  for (const auto& entry : model->buffers()) names += entry.name + " ";
  EXPECT_EQ(names, "0.weight 0.bias 1.weight 1.bias 5.weight 5.bias 1.running_mean 1.running_var ");
}

// Loss and all gradients of a network with fused activations against one whose activations stand alone.
TEST(Sequential, fused_relu_gives_the_bits_of_a_relu_of_its_own) {
  const Shape input{3, 9, 7, 2};
  const auto build = [] {
    auto body = std::make_unique<Sequential>();
    body->append(std::make_unique<Conv2d>(Conv2dOptions{.in = 2, .out = 5, .pad = {1, 1}}));
    body->append(std::make_unique<UnaryLayer>(Unary::relu));
    body->append(std::make_unique<BatchNorm2d>(5));
    body->append(std::make_unique<UnaryLayer>(Unary::relu));
    body->append(std::make_unique<Conv2d>(Conv2dOptions{.in = 5, .out = 5, .pad = {1, 1}, .bias = false}));
    body->append(std::make_unique<BatchNorm2d>(5));
    body->append(std::make_unique<UnaryLayer>(Unary::relu));
    body->append(std::make_unique<MaxPool2d>(Window{2, 2}, Window{2, 2}, Window{0, 0}));
    body->append(std::make_unique<UnaryLayer>(Unary::relu));
    body->append(std::make_unique<UnaryLayer>(Unary::relu));
    body->append(std::make_unique<Flatten>());
    body->append(std::make_unique<Linear>(4 * 3 * 5, 6, ImageExtent{4, 3, 5}));
    body->append(std::make_unique<UnaryLayer>(Unary::relu));
    initialise(*body, 4);
    return body;
  };
  const Variable x(random_tensor(input, 1)), weight(random_tensor({3, 6}, 2));
  for (const bool training : {true, false}) {
    const auto fused = build(), separate = build();
    fused->set_training(training);
    separate->set_training(training);

    Variable fused_y = (*fused)(x), separate_y = x;
    for (const auto& entry : separate->modules())
      if (!entry.name.empty()) separate_y = (*entry.module)(separate_y);
    EXPECT_TRUE(same_bits(fused_y.value(), separate_y.value()));

    sum(apply(Binary::multiply, fused_y, weight)).backward();
    sum(apply(Binary::multiply, separate_y, weight)).backward();
    for (size_t i = 0; i < fused->parameters().size(); ++i) {
      const Tensor& a = fused->parameters()[i].variable.grad();
      const Tensor& b = separate->parameters()[i].variable.grad();
      ASSERT_EQ(a.shape(), b.shape());
      // The fused backward may sum the bias gradient in another order: 3*9*7 terms, each at most 1 in magnitude
      // times a gradient; the forward error of a sum is n * eps times the sum of magnitudes, which the largest
      // gradient element times n bounds.
      double largest = 0;
      for (int64_t j = 0; j < a.count(); ++j) largest = std::max<double>(largest, std::abs(b.data<float>()[j]));
      for (int64_t j = 0; j < a.count(); ++j)
        EXPECT_NEAR(a.data<float>()[j], b.data<float>()[j], 3 * 9 * 7 * 6e-8 * largest) << fused->parameters()[i].name;
    }
  }
}

TEST(Residual, adds_its_body_to_its_input_or_its_shortcut) {
  const Tensor x = random_tensor({2, 5, 5, 3}, 1);
  const auto filled_conv = [](float value) {
    auto conv = std::make_unique<Conv2d>(Conv2dOptions{.in = 3, .out = 3, .kernel = {1, 1}, .bias = false});
    Tensor weight = conv->parameters()[0].variable.value();
    for (int i = 0; i < 3; ++i) weight.data<float>()[i * 3 + i] = value;  // value times the identity
    return conv;
  };
  Residual plain(filled_conv(2)), with_shortcut(filled_conv(2), filled_conv(4));
  const Tensor y = plain(Variable(x)).value(), z = with_shortcut(Variable(x)).value();
  for (int64_t i = 0; i < x.count(); ++i) {
    EXPECT_FLOAT_EQ(y.data<float>()[i], 3 * x.data<float>()[i]);
    EXPECT_FLOAT_EQ(z.data<float>()[i], 6 * x.data<float>()[i]);
  }
  std::string names;
  for (const auto& entry : with_shortcut.parameters()) names += entry.name + " ";
  EXPECT_EQ(names, "body.weight shortcut.weight ");
}

TEST(Module, training_mode_reaches_every_descendant) {
  const auto model = make_model("resnet18", {8, 8, 3}, 10);
  model->set_training(false);
  for (const auto& entry : model->modules()) EXPECT_FALSE(entry.module->training()) << entry.name;
  model->set_training(true);
  for (const auto& entry : model->modules()) EXPECT_TRUE(entry.module->training()) << entry.name;
}

TEST(Sequential, pools_in_the_pass_of_a_batch_norm_and_gives_the_same) {
  const Shape input{3, 9, 7, 2};
  for (const std::string layers :
       {"conv 5 3x3 pad 1; bn; relu; maxpool 2", "conv 5 3x3; bn; maxpool 3",
        "conv 5 3x3 pad 1; bn; relu; maxpool 3 stride 2 pad 1", "conv 5 3x3; bn; relu; maxpool 2 stride 1x2",
        "conv 5 3x3; bn; relu; maxpool 2 stride 2x1", "conv 5 3x3; bn; relu; maxpool 3 pad 1x0",
        "conv 5 3x3; bn; relu; maxpool 3 pad 0x1"}) {
    const std::string text = layers + "; flatten; linear 4";
    SCOPED_TRACE(text);
    const Variable x(random_tensor(input, 1));
    for (const bool training : {true, false}) {
      const auto fused = make_model(text, {9, 7, 2}, 4), separate = make_model(text, {9, 7, 2}, 4);
      initialise(*fused, 4);
      initialise(*separate, 4);
      fused->set_training(training);
      separate->set_training(training);
      Variable fused_y, separate_y;
      bool in_one_pass = false;
      {
        const KernelObserver observer(
            [&](const KernelCall& call) { in_one_pass |= call.kernel == std::string("batch_norm_max_pool"); });
        fused_y = (*fused)(x);
      }
      EXPECT_EQ(in_one_pass, layers.ends_with("maxpool 2") || layers.ends_with("maxpool 3"));
      {
        const ForwardObserver observer([](const Module&, const Variable&) {});
        separate_y = (*separate)(x);
      }
      EXPECT_TRUE(same_bits(fused_y.value(), separate_y.value()));
      for (size_t i = 0; i < fused->buffers().size(); ++i)
        EXPECT_TRUE(same_bits(fused->buffers()[i].variable.value(), separate->buffers()[i].variable.value()));
      const Variable weight(random_tensor(fused_y.shape(), 2));
      sum(apply(Binary::multiply, fused_y, weight)).backward();
      sum(apply(Binary::multiply, separate_y, weight)).backward();
      // Sums over at most 189 = 3*9*7 rows in another order: the error of a sum is 189 * eps times the sum of its magnitudes, which are
      // taken to be of the size of the largest gradient.
      double largest = 0;
      for (const auto& entry : separate->parameters())
        for (const float value :
             std::span(entry.variable.grad().data<float>(), static_cast<size_t>(entry.variable.grad().count())))
          largest = std::max<double>(largest, std::abs(value));
      EXPECT_GT(largest, 0.1);
      for (size_t i = 0; i < fused->parameters().size(); ++i) {
        const Tensor &a = fused->parameters()[i].variable.grad(), &b = separate->parameters()[i].variable.grad();
        for (int64_t j = 0; j < a.count(); ++j)
          EXPECT_NEAR(a.data<float>()[j], b.data<float>()[j], 189 * 0x1p-24 * largest) << fused->parameters()[i].name;
      }
    }
  }
}

// --- observers ---

TEST(ForwardObserver, sees_every_module_once_children_first_also_when_nested_and_fused) {
  const auto model =
      make_model("conv 4 3x3 pad 1; relu; residual { conv 4 3x3 pad 1; bn } shortcut { bn }; relu; flatten; linear 3",
                 {4, 4, 1}, 3);
  initialise(*model, 1);
  std::string seen, outer;
  const ForwardObserver outside([&](const Module& module, const Variable&) { outer += module.describe() + "\n"; });
  {
    const ForwardObserver inside(
        [&](const Module& module, const Variable& y) { seen += fmt::format("{} {}\n", module.describe(), y.shape()); });
    (*model)(Variable(random_tensor({2, 4, 4, 1}, 1)));
  }
  EXPECT_EQ(seen,
            "Conv2d(1, 4, 3x3, pad 1) [2,4,4,4]\nReLU() [2,4,4,4]\nConv2d(4, 4, 3x3, pad 1) [2,4,4,4]\n"
            "BatchNorm2d(4) [2,4,4,4]\nSequential(2 layers) [2,4,4,4]\nBatchNorm2d(4) [2,4,4,4]\n"
            "Sequential(1 layers) [2,4,4,4]\nResidual() [2,4,4,4]\nReLU() [2,4,4,4]\nFlatten() [2,64]\n"
            "Linear(64, 3) [2,3]\nSequential(6 layers) [2,3]\n");
  EXPECT_EQ(std::count(outer.begin(), outer.end(), '\n'), 12) << "an outer observer sees the same modules";
  (*model)(Variable(random_tensor({2, 4, 4, 1}, 1)));
  EXPECT_EQ(std::count(seen.begin(), seen.end(), '\n'), 12) << "an observer that is gone is not called";
}

TEST(ForwardObserver, sees_a_batch_norm_that_max_pooling_would_be_fused_with) {
  for (const bool named : {false, true}) {
    const auto model = named ? make_model("cifar-cnn", {8, 8, 3}, 3)
                             : make_model("conv 32 3x3 pad 1; bn; relu; maxpool 2; flatten; linear 3", {8, 8, 3}, 3);
    std::string seen;
    const ForwardObserver observer(
        [&](const Module& module, const Variable& y) { seen += fmt::format("{} {}\n", module.describe(), y.shape()); });
    (*model)(Variable(random_tensor({2, 8, 8, 3}, 1)));
    const std::string expected = "Conv2d(3, 32, 3x3, pad 1) [2,8,8,32]\nBatchNorm2d(32) [2,8,8,32]\n";
    EXPECT_TRUE(seen.starts_with(named ? expected : expected + "ReLU() [2,8,8,32]\nMaxPool2d(2x2) [2,4,4,32]\n"))
        << seen;
  }
}

// --- dropout ---

TEST(Dropout, is_the_identity_when_not_training) {
  Dropout dropout(0.5f);
  dropout.set_training(false);
  const Tensor x = random_tensor({4, 9}, 1);
  EXPECT_TRUE(same_bits(dropout(Variable(x)).value(), x));
}

TEST(Dropout, a_sharded_batch_draws_what_the_whole_batch_draws) {
  const auto model = make_model("flatten; dropout 0.5; dropout 0.5; linear 3", {3, 3, 1}, 3);
  initialise(*model, 1);
  Module& first = *model->modules()[2].module;
  Module& second = *model->modules()[3].module;
  const Tensor ones = Tensor::full({5, 9}, 1);
  step_randomness() = {.seed = 3, .step = 2, .first_sample = 0};
  const Tensor whole = first(Variable(ones)).value(), other_layer = second(Variable(ones)).value();
  step_randomness().first_sample = 2;
  const Tensor tail = first(Variable(ones.slice(2, 5))).value();
  step_randomness() = {.seed = 3, .step = 3, .first_sample = 0};
  const Tensor next_step = first(Variable(ones)).value();
  step_randomness() = {};
  EXPECT_TRUE(same_bits(tail, whole.slice(2, 5).clone()));
  EXPECT_FALSE(same_bits(whole, other_layer));
  EXPECT_FALSE(same_bits(whole, next_step));
}

// --- refusals ---

TEST(Layers, impossible_options_are_refused_with_their_values) {
  EXPECT_EQ(message_of([] { Conv2d conv({.in = 4, .out = 8, .groups = 2}); }),
            "Conv2d: groups = 2 is not supported, only 1 (every filter sees all 4 channels)");
  EXPECT_EQ(message_of([] { Conv2d conv({.in = 0, .out = 8}); }),
            "Conv2d: 0 channels in, 8 out; both must be positive");
  EXPECT_EQ(message_of([] {
              Conv2d conv({.in = 1, .out = 8, .stride = {0, 1}});
            }),
            "Conv2d: stride 0x1 must be positive");
  EXPECT_EQ(message_of([] { Linear linear(10, 0); }), "Linear: 10 features in, 0 out; both must be positive");
  EXPECT_EQ(message_of([] {
              Linear linear(10, 2, {2, 2, 3});
            }),
            "Linear: 10 features in, but a flattened image of 2x2x3 has 12");
  EXPECT_EQ(message_of([] {
              MaxPool2d pool({2, 2}, {2, 2}, {2, 2});
            }),
            "MaxPool2d: pad 2x2 must be between 0 and half the window 2x2");
  EXPECT_EQ(message_of([] {
              AveragePool2d pool({2, 2}, {0, 0}, {1, 1});
            }),
            "AveragePool2d: stride 0x0 must be positive");
  EXPECT_EQ(message_of([] { Dropout dropout(1.0f); }), "Dropout: probability 1 must be in [0, 1)");
  EXPECT_EQ(message_of([] { BatchNorm2d norm(0); }), "BatchNorm2d: 0 channels; must be positive");
}

}  // namespace
}  // namespace convoy
