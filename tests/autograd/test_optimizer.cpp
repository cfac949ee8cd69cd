// SGD, Adam and AdamW against PyTorch's formulas in double precision, over many steps.
#include "autograd/optimizer.h"

#include "autograd/autograd.h"
#include "tests/autograd/error_test.h"
#include "tests/gradcheck.h"

namespace convoy {
namespace {

class OptimizerOnEveryIsa : public AutogradOnEveryIsa {};
INSTANTIATE_FOR_EVERY_ISA(OptimizerOnEveryIsa);

constexpr int kSteps = 100;
constexpr float kRate = 0.01f;

// A parameter, its double-precision twin, and what updates the twin in the given step.
struct Twin {
  Variable variable;
  Values value, first, second;
};

Twin make_twin(Draw& draw, int64_t count) {
  const std::vector<float> values = draw.reals(count);
  return {Variable(Tensor::from(values, {count}), true), widen(values), Values(values.size()), Values(values.size())};
}

void give_gradient(Twin& twin, const std::vector<float>& gradient) {
  twin.variable.add_grad([&](Tensor& grad, bool) { grad.copy_from(Tensor::from(gradient, grad.shape())); });
}

// Runs kSteps steps with random gradients; the second parameter has none in every third step.
template <class Update>
void compare(Optimizer& optimizer, std::vector<Twin>& twins, double tolerance_per_step, Update&& update) {
  Draw draw(99);
  std::vector<int> updates(twins.size());
  for (int step = 0; step < kSteps; ++step) {
    optimizer.clear_grad();
    for (size_t i = 0; i < twins.size(); ++i) {
      if (i == 1 && step % 3 == 0) continue;
      const std::vector<float> gradient = draw.reals(static_cast<int64_t>(twins[i].value.size()));
      give_gradient(twins[i], gradient);
      update(twins[i], widen(gradient), ++updates[i]);
    }
    optimizer.step(kRate);
  }
  for (const Twin& twin : twins) {
    expect_within(values_of(twin.variable.value()), twin.value, Values(twin.value.size(), kSteps * tolerance_per_step));
  }
}

std::vector<Twin> make_twins() {
  Draw draw(5);
  std::vector<Twin> twins;
  for (const int64_t count : {17, 3, 1, 67}) twins.push_back(make_twin(draw, count));
  return twins;
}

std::vector<Variable> variables_of(const std::vector<Twin>& twins) {
  std::vector<Variable> variables;
  for (const Twin& twin : twins) variables.push_back(twin.variable);
  return variables;
}

TEST_P(OptimizerOnEveryIsa, sgd_follows_the_formula_over_many_steps) {
  for (const SgdOptions options :
       {SgdOptions{}, SgdOptions{.momentum = 0.9f}, SgdOptions{.momentum = 0.9f, .weight_decay = 0.01f},
        SgdOptions{.momentum = 0.5f, .weight_decay = 0.1f, .nesterov = true}, SgdOptions{.weight_decay = 0.1f}}) {
    SCOPED_TRACE(
        fmt::format("momentum {} decay {} nesterov {}", options.momentum, options.weight_decay, options.nesterov));
    std::vector<Twin> twins = make_twins();
    const std::unique_ptr<Optimizer> optimizer = make_sgd(variables_of(twins), options);
    // Values stay below 8, and each step rounds the value once and, scaled by the rate of 0.01, a velocity of
    // up to 10 a few times.
    compare(*optimizer, twins, kRoundoff * (8 + 8 * 10 * static_cast<double>(kRate)),
            [&](Twin& twin, const Values& gradient, int count) {
              const double momentum = static_cast<double>(options.momentum),
                           decay = static_cast<double>(options.weight_decay);
              for (size_t i = 0; i < gradient.size(); ++i) {
                const double g = gradient[i] + decay * twin.value[i];
                twin.first[i] =
                    count == 1 ? g : momentum * twin.first[i] + g;  // PyTorch: the buffer starts as the first gradient
                const double direction = options.momentum == 0 ? g
                                         : options.nesterov    ? g + momentum * twin.first[i]
                                                               : twin.first[i];
                twin.value[i] -= static_cast<double>(kRate) * direction;
              }
            });
  }
}

TEST_P(OptimizerOnEveryIsa, adam_and_adamw_follow_the_formula_over_many_steps) {
  for (const AdamOptions options :
       {AdamOptions{}, AdamOptions{.weight_decay = 0.1f}, AdamOptions{.weight_decay = 0.1f, .decoupled = true},
        AdamOptions{.beta1 = 0.5, .beta2 = 0.9, .epsilon = 1e-3f}}) {
    SCOPED_TRACE(fmt::format("beta1 {} beta2 {} decay {} decoupled {}", options.beta1, options.beta2,
                             options.weight_decay, options.decoupled));
    std::vector<Twin> twins = make_twins();
    const std::unique_ptr<Optimizer> optimizer = make_adam(variables_of(twins), options);
    const double beta1 = options.beta1, beta2 = options.beta2, rate = static_cast<double>(kRate),
                 epsilon = static_cast<double>(options.epsilon), decay = static_cast<double>(options.weight_decay);
    // Values stay below 4. A step moves by the rate times a ratio of at most about 3, whose parts carry the
    // rounding of the moments: sums with an effective length of 1 / (1 - beta1) = 10, and a second moment
    // known relative to itself, since all its terms are positive.
    compare(*optimizer, twins, kRoundoff * (4 + 32 * 3 * rate), [&](Twin& twin, const Values& gradient, int count) {
      const double correction1 = 1 - std::pow(beta1, count), correction2 = 1 - std::pow(beta2, count);
      for (size_t i = 0; i < gradient.size(); ++i) {
        double g = gradient[i];
        if (options.decoupled) {
          twin.value[i] *= 1 - rate * decay;
        } else {
          g += decay * twin.value[i];
        }
        twin.first[i] = beta1 * twin.first[i] + (1 - beta1) * g;
        twin.second[i] = beta2 * twin.second[i] + (1 - beta2) * g * g;
        twin.value[i] -= rate / correction1 * twin.first[i] / (std::sqrt(twin.second[i] / correction2) + epsilon);
      }
    });
  }
}

// Adam does not care for the scale of gradients but through epsilon, SGD does.
TEST_P(OptimizerOnEveryIsa, clipped_gradients_are_scaled_together_by_the_naive_norm) {
  for (const bool adam : {false, true}) {
    for (const float max_norm : {0.5f, 1000.0f}) {
      SCOPED_TRACE(fmt::format("{}, norm {}", adam ? "adam" : "sgd", max_norm));
      std::vector<Twin> twins = make_twins();
      const std::unique_ptr<Optimizer> optimizer =
          adam ? make_adam(variables_of(twins), {.epsilon = 1}) : make_sgd(variables_of(twins), {});
      optimizer->clip_norm(max_norm);
      Draw draw(98);
      for (int step = 1; step <= 10; ++step) {
        optimizer->clear_grad();
        Values all;
        std::vector<Values> gradients;
        for (size_t i = 0; i < twins.size(); ++i) {
          gradients.emplace_back();
          if (i == 1 && step % 3 == 0) continue;  // which the norm then does not see
          const std::vector<float> gradient = draw.reals(static_cast<int64_t>(twins[i].value.size()));
          give_gradient(twins[i], gradient);
          gradients.back() = widen(gradient);
          all.insert(all.end(), gradients.back().begin(), gradients.back().end());
        }
        optimizer->step(0.1f);
        const double scale = reference::clip_scale(max_norm, all);
        EXPECT_EQ(scale < 1, max_norm < 1);
        for (size_t i = 0; i < twins.size(); ++i) {
          if (gradients[i].empty()) continue;
          for (double& gradient : gradients[i]) gradient *= scale;
          Twin& twin = twins[i];
          Values none;
          if (adam) {
            const int updates = i == 1 ? step - step / 3 : step;
            reference::adam_step({.lr = 0.1f,
                                  .epsilon = 1,
                                  .correction1 = static_cast<float>(1 - std::pow(0.9, updates)),
                                  .correction2 = static_cast<float>(1 - std::pow(0.999, updates))},
                                 twin.value, gradients[i], twin.first, twin.second);
          } else {
            reference::sgd_step({.lr = 0.1f}, twin.value, gradients[i], none);
          }
        }
      }
      // Ten steps, each of a few roundings of values below 2 and of updates below 0.1.
      for (const Twin& twin : twins)
        expect_within(values_of(twin.variable.value()), twin.value, Values(twin.value.size(), 10 * 8 * kRoundoff));
    }
  }
}

TEST(Optimizer, a_parameter_without_a_gradient_is_left_alone) {
  for (const bool adam : {false, true}) {
    const Variable x(Tensor::full({3}, 1), true);
    const std::unique_ptr<Optimizer> optimizer =
        adam ? make_adam({x}, {.weight_decay = 0.1f}) : make_sgd({x}, {.momentum = 0.9f, .weight_decay = 0.1f});
    optimizer->step(0.1f);
    EXPECT_EQ(values_of(x.value()), (std::vector<float>{1, 1, 1}));
    sum(x).backward();
    optimizer->step(0.1f);
    const std::vector<float> moved = values_of(x.value());
    EXPECT_NE(moved[0], 1);
    optimizer->clear_grad();
    optimizer->step(0.1f);
    EXPECT_EQ(values_of(x.value()), moved);
  }
}

// --- minimize() -----------------------------------------------------------------------------------------------------

constexpr int64_t kOut = 130, kIn = 2065;  // a weight large enough to be updated while its gradient is computed

struct TwoLayers {
  Variable weight, bias, last;
  explicit TwoLayers(uint32_t seed) {
    Draw draw(seed);
    weight = Variable(Tensor::from(draw.reals(kOut * kIn, -0.1f, 0.1f), {kOut, kIn}), true);
    bias = Variable(Tensor::from(draw.reals(kOut), {kOut}), true);
    last = Variable(Tensor::from(draw.reals(3 * kOut), {3, kOut}), true);
  }
  std::vector<Variable> parameters() const { return {weight, bias, last}; }
  Variable loss(const Variable& x) const { return mean(linear(linear(x, weight, bias, true), last, {})); }
};

// Runs three steps each way and compares all parameters and the optimizer's state; returns whether the large weight's gradient was
// stored by minimize().
template <class Loss>
bool minimize_equals_two_steps(const AdamOptions& options, float max_norm, int64_t samples, Loss&& loss) {
  TwoLayers one(3), two(3);
  const std::unique_ptr<Optimizer> minimizing = make_adam(one.parameters(), options),
                                   stepping = make_adam(two.parameters(), options);
  if (max_norm > 0) {
    minimizing->clip_norm(max_norm);
    stepping->clip_norm(max_norm);
  }
  Draw draw(4);
  for (int step = 0; step < 3; ++step) {
    const Variable x(Tensor::from(draw.reals(samples * kIn), {samples, kIn}), true);
    minimizing->clear_grad();
    minimizing->minimize(loss(one, x), 0.01f);
    const std::vector<float> dx = values_of(x.grad());
    Variable again(x.value(), true);
    stepping->clear_grad();
    loss(two, again).backward();
    stepping->step(0.01f);
    EXPECT_EQ(dx, values_of(again.grad())) << "computed from the weight before its update, in step " << step;
  }
  for (size_t i = 0; i < one.parameters().size(); ++i)
    EXPECT_EQ(values_of(one.parameters()[i].value()), values_of(two.parameters()[i].value())) << "parameter " << i;
  const std::vector<NamedTensor> state = minimizing->state(), expected = stepping->state();
  for (size_t i = 0; i < state.size(); ++i) {
    if (state[i].tensor.dtype() == DType::f32)
      EXPECT_EQ(values_of(state[i].tensor), values_of(expected[i].tensor)) << state[i].name;
    else
      EXPECT_EQ(state[i].tensor.data<int32_t>()[0], expected[i].tensor.data<int32_t>()[0]);
  }
  return one.weight.has_grad();
}

const auto kPlainLoss = [](const TwoLayers& net, const Variable& x) { return net.loss(x); };

TEST_P(OptimizerOnEveryIsa, minimize_updates_a_large_weight_in_backward_with_the_same_bits) {
  for (const AdamOptions& options :
       {AdamOptions{}, AdamOptions{.weight_decay = 0.1f}, AdamOptions{.weight_decay = 0.1f, .decoupled = true}})
    EXPECT_FALSE(minimize_equals_two_steps(options, 0, 64, kPlainLoss));
}

TEST_P(OptimizerOnEveryIsa, minimize_stores_gradients_where_they_are_needed) {
  EXPECT_TRUE(minimize_equals_two_steps({}, 0.01f, 64, kPlainLoss)) << "the norm of all is needed first";
  EXPECT_TRUE(minimize_equals_two_steps({}, 0, 8, kPlainLoss)) << "too few samples";
  EXPECT_TRUE(minimize_equals_two_steps({}, 0, 64, [](const TwoLayers& net, const Variable& x) {
    return add(net.loss(x), net.loss(scale(x, 2)));
  })) << "a weight used twice has the sum of two products";
  EXPECT_TRUE(minimize_equals_two_steps({}, 0, 64, [](const TwoLayers& net, const Variable& x) {
    return add(net.loss(x), mean(apply(Unary::tanh, net.weight)));
  })) << "a weight that is used elsewhere, too";
  EXPECT_TRUE(minimize_equals_two_steps({}, 0, 64, [](TwoLayers& net, const Variable& x) {
    if (!net.weight.has_grad()) net.weight.on_grad_ready([](const Variable& w) { EXPECT_TRUE(w.has_grad()); });
    return net.loss(x);
  })) << "somebody waits for the gradient";
}

TEST_P(OptimizerOnEveryIsa, minimize_updates_when_nothing_reads_the_weight_any_more) {
  // A constant that shares the weight's memory, used before it and therefore differentiated after it.
  EXPECT_FALSE(minimize_equals_two_steps({}, 0, 64, [](TwoLayers& net, const Variable& x) {
    const Variable same_memory(net.weight.value());
    const Variable other = linear(x, same_memory, {});
    return add(mean(other), net.loss(x));
  }));
}

TEST(Optimizer, minimize_updates_nothing_when_backward_fails) {
  TwoLayers net(7);
  const std::unique_ptr<Optimizer> optimizer = make_adam(net.parameters(), {});
  const std::vector<float> before = values_of(net.weight.value());
  Draw draw(8);
  const Variable x(Tensor::from(draw.reals(64 * kIn), {64, kIn}), true);
  const Variable spoilt = Variable::record("spoilt", x.value().clone(), {x},
                                           [](const Tensor&) { fail(ErrorKind::internal, "this one fails"); });
  EXPECT_THROW(optimizer->minimize(net.loss(spoilt), 0.01f), Error);
  EXPECT_EQ(values_of(net.weight.value()), before);
  EXPECT_EQ(optimizer->state()[0].tensor.data<int32_t>()[0], 0);
  optimizer->clear_grad();
  net.loss(x).backward();
  EXPECT_TRUE(net.weight.has_grad()) << "a backward() by itself stores the gradient";
}

TEST(Optimizer, minimize_takes_parameters_that_are_results) {
  const Variable leaf(Tensor::full({kOut, kIn}, 0.01f), true), result = scale(leaf, 2);
  const std::unique_ptr<Optimizer> optimizer = make_adam({leaf, result}, {});
  Draw draw(9);
  const Variable x(Tensor::from(draw.reals(64 * kIn), {64, kIn}));
  optimizer->minimize(mean(linear(x, result, {})), 0.1f);
  EXPECT_NE(values_of(leaf.value())[0], 0.01f);
}

TEST(Optimizer, minimize_leaves_no_trace_in_the_weights) {
  TwoLayers net(5);
  const std::unique_ptr<Optimizer> optimizer = make_adam(net.parameters(), {});
  Draw draw(6);
  const Variable x(Tensor::from(draw.reals(64 * kIn), {64, kIn}));
  optimizer->minimize(net.loss(x), 0.01f);
  const std::vector<float> before = values_of(net.weight.value());
  net.loss(x).backward();
  EXPECT_TRUE(net.weight.has_grad()) << "a backward() by itself stores it";
  EXPECT_EQ(values_of(net.weight.value()), before);
}

TEST(Optimizer, a_restored_state_continues_bit_for_bit) {
  for (const bool adam : {false, true}) {
    const auto make = [&](const Variable& x) { return adam ? make_adam({x}, {}) : make_sgd({x}, {.momentum = 0.9f}); };
    const auto steps = [](Optimizer& optimizer, const Variable& x, int begin, int end) {
      for (int i = begin; i < end; ++i) {
        optimizer.clear_grad();
        sum(scale(apply(Unary::tanh, x), static_cast<float>(i + 1))).backward();
        optimizer.step(0.01f);
      }
    };
    const Variable whole(Tensor::full({5}, 0.5f), true), first(Tensor::full({5}, 0.5f), true);
    const std::unique_ptr<Optimizer> uninterrupted = make(whole), before = make(first);
    steps(*uninterrupted, whole, 0, 9);
    steps(*before, first, 0, 4);

    const Variable second(first.value().clone(), true);
    const std::unique_ptr<Optimizer> after = make(second);
    const std::vector<NamedTensor> saved = before->state();
    std::vector<NamedTensor> restored = after->state();
    ASSERT_EQ(saved.size(), adam ? 3u : 1u);
    for (size_t i = 0; i < saved.size(); ++i) {
      EXPECT_EQ(restored[i].name, saved[i].name);
      restored[i].tensor.copy_from(saved[i].tensor);
    }
    steps(*after, second, 4, 9);
    EXPECT_EQ(values_of(second.value()), values_of(whole.value()));
  }
}

TEST(Optimizer, gradients_placed_elsewhere_after_its_creation_are_used) {
  Variable x(Tensor::full({2}, 1), true);
  const std::unique_ptr<Optimizer> optimizer = make_sgd({x}, {});
  sum(x).backward();
  optimizer->step(0.5f);
  x.place_grad(Tensor::zeros({2}));
  x.clear_grad();
  sum(scale(x, 2)).backward();
  optimizer->step(0.25f);
  EXPECT_EQ(values_of(x.value()), (std::vector<float>{0, 0}));
}

TEST(Optimizer, options_out_of_range_are_refused) {
  const Variable x(Tensor::zeros({1}), true);
  EXPECT_USAGE_ERROR(make_sgd({x}, {})->clip_norm(0), "optimizer: gradients clipped to a norm of 0");
  EXPECT_USAGE_ERROR(make_sgd({x}, {.momentum = -1}), "sgd: momentum -1");
  EXPECT_USAGE_ERROR(make_sgd({x}, {.weight_decay = -1}), "sgd: weight decay -1");
  EXPECT_USAGE_ERROR(make_sgd({x}, {.nesterov = true}), "sgd: Nesterov's variant needs a momentum");
  EXPECT_USAGE_ERROR(make_adam({x}, {.beta1 = 1}), "adam: beta1 1");
  EXPECT_USAGE_ERROR(make_adam({x}, {.beta2 = -0.5}), "adam: beta2 -0.5");
  EXPECT_USAGE_ERROR(make_adam({x}, {.epsilon = -1}), "adam: epsilon -1");
  EXPECT_USAGE_ERROR(make_adam({Variable(Tensor::zeros({1}))}, {}), "optimizer: parameter 0 requires no gradient");
}

}  // namespace
}  // namespace convoy
