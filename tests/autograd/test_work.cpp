// The backward of a function is done for whom its forward was.
#include <gtest/gtest.h>

#include <string>

#include "autograd/autograd.h"
#include "autograd/optimizer.h"
#include "tensor/kernel_observer.h"
#include "tensor/work.h"

namespace convoy {
namespace {

std::string pass_name(Work::Pass pass) {
  switch (pass) {
    case Work::Pass::data:
      return "data";
    case Work::Pass::forward:
      return "forward";
    case Work::Pass::backward:
      return "backward";
    case Work::Pass::update:
      return "update";
  }
  return "?";
}

// Each kernel that runs meanwhile, with the work it is for.
template <class Action>
std::string kernels_of(Action&& action) {
  std::string text;
  const KernelObserver observer([&](const KernelCall& call) {
    const Work& work = current_work();
    text += fmt::format("{} {}: {}\n", work.name != nullptr ? work.name : "nobody", pass_name(work.pass), call.kernel);
  });
  action();
  return text;
}

TEST(WorkOfGradients, backward_runs_under_the_work_of_forward) {
  const Variable x(Tensor::full({2, 3}, 0.5f), true);
  Variable y, z;
  {
    const WorkScope work("first");
    y = relu(x);
  }
  {
    const WorkScope work("second");
    z = sum(add(y, y));
  }
  EXPECT_EQ(kernels_of([&] { z.backward(); }),
            "second backward: fill\n"  // d z / d z
            "second backward: fill\n"  // of sum, and the next
            "second backward: bias_forward\n"
            "second backward: binary_forward\n"  // two contributions to y
            "first backward: unary_backward\n");
  EXPECT_EQ(current_work().name, nullptr);
  EXPECT_EQ(current_work().pass, Work::Pass::forward);
}

TEST(WorkOfGradients, loss_and_update_are_nobodys_layer) {
  const Variable w(Tensor::full({1, 3}, 0.5f), true);
  const Tensor labels = Tensor::zeros({1}, DType::i32);
  const std::unique_ptr<Optimizer> optimizer = make_sgd({w}, {});
  EXPECT_EQ(kernels_of([&] {
              softmax_cross_entropy(w, labels).backward();
              optimizer->step(0.1f);
            }),
            "loss forward: softmax_cross_entropy_forward\n"
            "loss forward: sum\n"
            "loss forward: scale\n"
            "loss backward: fill\n"
            "loss backward: softmax_cross_entropy_backward\n"
            "optimizer update: sgd_step\n");
}

}  // namespace
}  // namespace convoy
