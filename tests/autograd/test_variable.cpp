// The tape: what runs when, what is kept and what is freed, what is refused.
#include "autograd/variable.h"

#include <string>
#include <thread>

#include "autograd/autograd.h"
#include "tensor/memory_pool.h"
#include "tests/autograd/error_test.h"
#include "tests/gradcheck.h"

namespace convoy {
namespace {

Variable leaf(float value, const Shape& shape = {1}) { return Variable(Tensor::full(shape, value), true); }

int64_t bytes_in_use() { return pool_statistics(Device{}).bytes_in_use; }

// y = x as a function whose backward also calls `then`.
Variable probe(const Variable& x, std::function<void()> then) {
  return Variable::record("probe", x.value(), {x},
                          [x_grad = x.gradient_only(), then = std::move(then)](const Tensor& dy) {
                            then();
                            x_grad.add_grad(dy);
                          });
}

// --- gradients ----------------------------------------------------------------------------------------------------

TEST(Variable, backward_of_a_leaf_itself_gives_1) {
  Variable x = leaf(3);
  int calls = 0;
  x.on_grad_ready([&](const Variable&) { ++calls; });
  x.backward();
  x.backward();
  EXPECT_EQ(x.grad().item(), 2);
  EXPECT_EQ(calls, 2);
}

TEST(Variable, a_diamond_sums_both_paths_before_going_on) {
  // y = x^2; z = y * 3 + y * y, dz/dx = (3 + 2 y) 2 x.
  const Variable x = leaf(2);
  int runs = 0;
  const Variable y = probe(apply(Binary::multiply, x, x), [&] { ++runs; });
  add(scale(y, 3), apply(Binary::multiply, y, y)).backward();
  EXPECT_EQ(x.grad().item(), (3 + 2 * 4) * 2 * 2);
  EXPECT_EQ(runs, 1);
}

TEST(Variable, nodes_run_in_reverse_order_of_creation) {
  const Variable x = leaf(1);
  std::string order;
  const Variable a = probe(x, [&] { order += 'a'; });
  const Variable b = probe(x, [&] { order += 'b'; });
  const Variable c = probe(a, [&] { order += 'c'; });
  const Variable d = probe(b, [&] { order += 'd'; });
  add(d, c).backward();
  EXPECT_EQ(order, "dcba");
}

TEST(Variable, nodes_that_the_loss_does_not_depend_on_do_not_run) {
  const Variable x = leaf(1);
  bool ran = false;
  const Variable aside = probe(x, [&] { ran = true; });
  scale(x, 5).backward();
  EXPECT_FALSE(ran);
  EXPECT_EQ(x.grad().item(), 5);
}

TEST(Variable, gradients_accumulate_until_cleared_and_then_overwrite_the_same_memory) {
  Variable x = leaf(1, {3});
  sum(scale(x, 2)).backward();
  sum(scale(x, 3)).backward();
  expect_equal(values_of(x.grad()), {5, 5, 5});
  const float* memory = x.grad().data<float>();
  x.clear_grad();
  EXPECT_FALSE(x.has_grad());
  EXPECT_USAGE_ERROR(x.grad(), "grad: no gradient has flowed into [3] yet");
  sum(scale(x, 7)).backward();
  expect_equal(values_of(x.grad()), {7, 7, 7});
  EXPECT_EQ(x.grad().data<float>(), memory);
}

// Both inputs of an addition take over the same dy; what one of them gathers later must not show in the
// other.
TEST(Variable, inputs_that_share_one_contribution_do_not_see_each_others_further_ones) {
  const Variable x = leaf(1, {2});
  const Variable a = scale(x, 1), b = scale(x, 10);
  const Variable early = add(scale(a, 100), scale(b, 1000));  // recorded first, so its gradients come second
  const Variable both = add(a, b);
  sum(add(both, early)).backward();
  expect_equal(values_of(x.grad()), Values(2, 1 + 100 + 10 * (1 + 1000)));
}

TEST(Variable, a_residual_connection_gets_the_gradient_of_both_branches) {
  // y = x + 3 x, twice over.
  const Variable x = leaf(1, {5});
  Variable y = x;
  for (int i = 0; i < 2; ++i) {
    const Variable shortcut = reshape(y, {1, 5});
    y = reshape(add(reshape(scale(y, 3), {1, 5}), shortcut), {5});
  }
  sum(y).backward();
  expect_equal(values_of(x.grad()), Values(5, 16));
}

TEST(Variable, a_contribution_that_the_caller_keeps_is_never_written_to) {
  const Variable x = leaf(1, {2});
  const Tensor kept = Tensor::full({2}, 5);
  const Variable y = scale(x, 1);
  const Variable z = Variable::record("kept", y.value(), {y, y}, [y_grad = y.gradient_only(), kept](const Tensor&) {
    y_grad.add_grad(kept);
    y_grad.add_grad(kept);
  });
  sum(z).backward();
  expect_equal(values_of(kept), {5, 5});
  expect_equal(values_of(x.grad()), {10, 10});
}

TEST(Variable, inputs_that_want_no_gradient_get_none_and_record_nothing) {
  const Variable x(Tensor::full({2}, 1)), y(Tensor::full({2}, 1));
  const Variable z = add(x, y);
  EXPECT_FALSE(z.requires_grad());
  EXPECT_FALSE(z.gradient_only().defined());
  z.add_grad(Tensor::full({2}, 1));
  EXPECT_FALSE(z.has_grad());
}

// --- leaves: placement and hooks ----------------------------------------------------------------------------------

TEST(Variable, a_placed_gradient_lives_in_the_given_memory) {
  const Tensor bucket = Tensor::full({10}, -1);
  Variable x = leaf(1, {2, 2});
  sum(scale(x, 3)).backward();
  x.place_grad(bucket.slice(3, 7).reshape({2, 2}));
  expect_equal(values_of(bucket), {-1, -1, -1, 3, 3, 3, 3, -1, -1, -1});  // moved along
  sum(scale(x, 2)).backward();
  expect_equal(values_of(bucket), {-1, -1, -1, 5, 5, 5, 5, -1, -1, -1});
  x.clear_grad();
  sum(scale(x, 4)).backward();
  expect_equal(values_of(bucket), {-1, -1, -1, 4, 4, 4, 4, -1, -1, -1});
  EXPECT_USAGE_ERROR(x.place_grad(bucket), "place_grad: memory is f32 [10] on cpu, expected f32 [2,2] on cpu");
  EXPECT_USAGE_ERROR(scale(x, 1).place_grad(Tensor::zeros({2, 2})), "place_grad: only leaves");
}

TEST(Variable, a_hook_fires_once_with_the_complete_gradient_while_the_rest_still_runs) {
  Variable early = leaf(1), late = leaf(1);
  std::string order;
  early.on_grad_ready([&](const Variable& v) { order += fmt::format("early={} ", v.grad().item()); });
  late.on_grad_ready([&](const Variable& v) { order += fmt::format("late={} ", v.grad().item()); });
  late.on_grad_ready([&](const Variable&) { order += "late again "; });
  Variable y = probe(apply(Binary::multiply, early, early), [&] { order += "middle "; });
  y = add(add(y, late), scale(late, 4));
  y = probe(y, [&] { order += "last "; });
  y.backward();
  EXPECT_EQ(order, "last late=5 late again middle early=2 ");
}

TEST(Variable, hooks_count_only_the_uses_that_this_loss_depends_on) {
  Variable x = leaf(1);
  int calls = 0;
  x.on_grad_ready([&](const Variable&) { ++calls; });
  const Variable unused = scale(x, 100);
  const Variable one = scale(x, 2), other = scale(x, 3);
  one.backward();
  EXPECT_EQ(calls, 1);
  other.backward();
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(x.grad().item(), 5);
}

TEST(Variable, the_weight_of_a_convolution_is_ready_before_its_input_gradient_is_computed) {
  Variable weight = leaf(1, {1, 1, 1, 1});
  bool ready = false, ready_in_time = false;
  weight.on_grad_ready([&](const Variable&) { ready = true; });
  const Variable x = probe(leaf(1, {1, 2, 2, 1}), [&] { ready_in_time = ready; });
  sum(conv2d(x, weight, {}, {1, 1}, {0, 0})).backward();
  EXPECT_TRUE(ready_in_time);
}

TEST(Variable, only_leaves_have_hooks) {
  Variable y = scale(leaf(1), 2);
  EXPECT_USAGE_ERROR(y.on_grad_ready([](const Variable&) {}), "on_grad_ready: only leaves");
  EXPECT_USAGE_ERROR(Variable(Tensor::zeros({1})).on_grad_ready([](const Variable&) {}), "on_grad_ready: only leaves");
}

// --- memory -------------------------------------------------------------------------------------------------------

TEST(Variable, backward_frees_saved_values_and_intermediate_gradients_even_while_the_loss_lives) {
  const Variable x = leaf(1, {1000});
  const int64_t before = bytes_in_use();
  Variable loss;
  {
    Variable y = x;
    for (int i = 0; i < 10; ++i) y = apply(Unary::gelu, y);
    loss = sum(y);
  }
  EXPECT_GE(bytes_in_use() - before, 9 * 4000);  // what the functions saved
  loss.backward();
  EXPECT_LE(bytes_in_use() - before, 4096 + 64);  // x's gradient in its size class, and the loss
  loss = Variable();
  EXPECT_LE(bytes_in_use() - before, 4096);
}

TEST(Variable, at_most_two_gradients_of_a_chain_are_alive_at_once) {
  const Variable x = leaf(1, {1000});
  sum(scale(x, 1)).backward();
  const int64_t before = bytes_in_use();
  int64_t most = 0;
  Variable y = x;
  for (int i = 0; i < 20; ++i) y = probe(scale(y, 1), [&] { most = std::max(most, bytes_in_use() - before); });
  Variable loss = sum(y);
  y = Variable();
  EXPECT_LE(bytes_in_use() - before, 64);  // scale saves nothing
  loss.backward();
  EXPECT_GE(most, 4000);
  EXPECT_LE(most, 2 * 4096 + 3 * 64);
}

TEST(Variable, the_value_of_an_input_goes_when_no_backward_needs_it) {
  const Variable x = leaf(1, {1, 20, 20, 5});
  const int64_t before = bytes_in_use();
  const Variable y = max_pool2d(scale(x, 2), {2, 2}, {2, 2}, {0, 0});
  // y f32 and index u8 of 500 elements each, rounded up to size classes; the 8000 bytes of scale's result are
  // gone.
  EXPECT_LE(bytes_in_use() - before, 2048 + 512);
}

TEST(Variable, a_graph_that_is_never_differentiated_goes_with_its_result) {
  const Variable x = leaf(1, {1000});
  const int64_t before = bytes_in_use();
  { const Variable y = apply(Unary::tanh, apply(Unary::gelu, x)); }
  EXPECT_EQ(bytes_in_use(), before);
}

TEST(Variable, a_chain_of_100000_nodes_runs_and_is_destroyed_without_recursion) {
  const Variable x = leaf(1);
  const int64_t before = bytes_in_use();
  for (const bool differentiate : {true, false}) {
    Variable y = x;
    for (int i = 0; i < 100000; ++i) y = apply(Unary::relu, y);
    if (differentiate) y.backward();
  }
  EXPECT_EQ(x.grad().item(), 1);
  EXPECT_EQ(bytes_in_use() - before, 64);
}

TEST(Variable, steps_in_steady_state_ask_the_system_for_no_memory) {
  Variable weight = leaf(0.5f, {7, 3, 3, 2}), bias = leaf(0.1f, {7});
  const Variable x(Tensor::full({2, 9, 9, 2}, 1));
  const auto step = [&] {
    weight.clear_grad();
    bias.clear_grad();
    mean(max_pool2d(conv2d(x, weight, bias, {1, 1}, {1, 1}, true), {2, 2}, {2, 2}, {0, 0})).backward();
  };
  // The first step finds no gradients; those it leaves behind are in use during the second.
  step();
  step();
  const int64_t allocations = pool_statistics(Device{}).system_allocations;
  for (int i = 0; i < 5; ++i) step();
  EXPECT_EQ(pool_statistics(Device{}).system_allocations, allocations);
}

// --- errors -------------------------------------------------------------------------------------------------------

TEST(Variable, backward_over_a_freed_tape_is_refused) {
  const Variable x = leaf(2);
  const Variable y = scale(x, 3), loss = sum(y);
  loss.backward();
  EXPECT_USAGE_ERROR(loss.backward(), "backward: 'sum' has been differentiated before and its saved values are freed");
  EXPECT_USAGE_ERROR(sum(y).backward(), "backward: 'scale' has been differentiated before");
  EXPECT_EQ(x.grad().item(), 3);  // untouched by the refused ones
}

TEST(Variable, backward_of_more_than_one_value_or_of_nothing_is_refused) {
  EXPECT_USAGE_ERROR(leaf(1, {2, 3}).backward(), "backward: [2,3] is not a single value");
  EXPECT_USAGE_ERROR(Variable(Tensor::zeros({1})).backward(),
                     "backward: nothing it was computed from requires a gradient");
  EXPECT_USAGE_ERROR(Variable().backward(), "backward: the variable is undefined");
}

TEST(Variable, a_backward_that_forgets_an_input_is_a_defect_with_a_name) {
  const Variable x = leaf(1);
  const Variable y = Variable::record("forgetful", x.value(), {x}, [](const Tensor&) {});
  try {
    y.backward();
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::internal);
    EXPECT_STREQ(error.what(), "backward: 'forgetful' made 0 contributions to the gradients of 1 inputs");
  }
}

TEST(Variable, an_error_within_backward_leaves_leaves_usable) {
  Variable x = leaf(1);
  int calls = 0;
  x.on_grad_ready([&](const Variable&) { ++calls; });
  const Variable y = add(x, probe(x, [] { throw std::runtime_error("interrupted"); }));
  EXPECT_THROW(y.backward(), std::runtime_error);
  EXPECT_USAGE_ERROR(y.backward(), "has been differentiated before");
  x.clear_grad();
  calls = 0;
  add(x, x).backward();
  EXPECT_EQ(x.grad().item(), 2);
  EXPECT_EQ(calls, 1);
}

TEST(Variable, values_without_a_gradient_or_a_value_are_refused) {
  EXPECT_USAGE_ERROR(Variable(Tensor::zeros({2}, DType::i32), true), "variable: i32 values have no gradient");
  EXPECT_USAGE_ERROR(Variable{Tensor()}, "variable: the value is undefined");
  EXPECT_USAGE_ERROR(leaf(1).add_grad(Tensor::zeros({2})), "add_grad: contribution [2] to a gradient of [1]");
  EXPECT_USAGE_ERROR(Variable(Tensor::zeros({2})).grad(), "grad: the variable does not require a gradient");
}

// --- no grad ------------------------------------------------------------------------------------------------------

TEST(NoGrad, nests_and_ends_with_its_scope) {
  const Variable x = leaf(1);
  EXPECT_TRUE(grad_enabled());
  {
    const NoGrad outer;
    {
      const NoGrad inner;
      EXPECT_FALSE(scale(x, 2).requires_grad());
    }
    EXPECT_FALSE(grad_enabled());
    EXPECT_FALSE(scale(x, 2).requires_grad());
  }
  EXPECT_TRUE(scale(x, 2).requires_grad());
}

TEST(NoGrad, concerns_its_own_thread_only) {
  const NoGrad here;
  bool enabled_there = false;
  std::thread([&] { enabled_there = grad_enabled(); }).join();
  EXPECT_TRUE(enabled_there);
}

TEST(Variable, threads_with_tapes_of_their_own_do_not_disturb_each_other) {
  std::vector<std::thread> threads;
  std::vector<float> gradients(4);
  for (size_t t = 0; t < gradients.size(); ++t) {
    threads.emplace_back([&gradients, t] {
      const Variable x = leaf(1, {17});
      for (int i = 0; i < 50; ++i) sum(scale(add(x, x), static_cast<float>(t))).backward();
      gradients[t] = x.grad().data<float>()[16];
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(gradients, (std::vector<float>{0, 100, 200, 300}));
}

}  // namespace
}  // namespace convoy
