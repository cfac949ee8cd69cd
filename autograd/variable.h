// Variable: a tensor that remembers how it was computed. Reverse-mode differentiation on a define-by-run
// tape.
//
//   Variable w(Tensor::full({2, 3}, 0.5f), true);      // a leaf that wants a gradient
//   Variable loss = mean(relu(linear(x, w, b)));
//   loss.backward();                                   // w.grad() is now d loss / d w
//
// A Variable is a handle: copies share value and gradient. Each function in autograd.h appends one Node to
// the tape, which owns what its backward needs; backward() runs the nodes in reverse order of creation, each
// exactly once, and frees them as it goes. The tape belongs to the thread that built it.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "autograd/function_observer.h"
#include "tensor/tensor.h"

namespace convoy {

class Variable {
 public:
  Variable() = default;  // undefined, as an absent bias
  explicit Variable(Tensor value, bool requires_grad = false);

  bool defined() const { return state_ != nullptr; }
  bool same_as(const Variable& other) const { return state_ == other.state_; }  // two handles on one variable
  const Tensor& value() const;
  Tensor& value();  // in-place updates (optimizers, loading); not recorded
  const Shape& shape() const { return value().shape(); }
  bool requires_grad() const;  // it, or something it was computed from, is a leaf that wants a gradient

  // The gradient accumulated since the last clear_grad(), of the value's shape. has_grad() is false when
  // nothing has flowed yet.
  bool has_grad() const;
  const Tensor& grad() const;
  void clear_grad();  // forgets the gradient but keeps its memory: the next contribution overwrites
  // From now on the gradient lives in `memory` (of the value's shape), for example a slice of a communication
  // bucket.
  void place_grad(Tensor memory);

  // Called by backward() on the thread that runs it, once per backward(), as soon as this leaf's gradient is
  // complete, while the rest of the tape still runs. Hooks run in the order they were added. They may read,
  // send or change the gradient, but not the value: the rest of the tape may still read it.
  void on_grad_ready(std::function<void(const Variable&)> hook);

  // Updates a matrix in the pass that computes its gradient.
  struct ProductUpdate {
    std::function<bool(int64_t terms)> wanted;                  // for a gradient a^T * b of matrices with so many rows?
    std::function<void(const Tensor& a, const Tensor& b)> run;  // then called in place of computing it
  };
  // From now on backward() calls `update` at its end where this leaf's gradient is one product and nothing else, there are no
  // hooks, and it is wanted: no gradient is stored then, and has_grad() stays false. An empty one ends that. Results are
  // never updated.
  void update_by_product(ProductUpdate update);

  // Differentiates this one-element variable with respect to every leaf it depends on. Gradients accumulate
  // into leaves.
  void backward() const;

  // --- for the authors of differentiable functions ----------------------------------------------------------------
  // The gradient that has flowed into a result. A Backward that need not know more may take it as a Tensor.
  struct Gradient {
    Tensor dy;   // of the value's shape
    bool gated;  // 0 wherever the value of a relu_result() is not positive
    operator const Tensor&() const { return dy; }
  };
  using Backward = std::function<void(const Gradient&)>;

  // A result computed from `inputs` (undefined ones are ignored). When gradients are enabled and an input
  // wants one, `backward` is kept: it is called once with dy (of the value's shape), which it must not write
  // to, and calls add_grad() or add_product_grad() exactly once for every element of `inputs` that requires_grad(); more or fewer
  // is an Error(internal). `arguments` are for a FunctionObserver, who is told of the call; `relu_result` is what the function of
  // that name says.
  static Variable record(const char* function, Tensor value, std::vector<Variable> inputs, Backward backward,
                         const FunctionArguments& arguments = {}, bool relu_result = false);

  // Whether it is the result of a ReLU (not a batch norm's), whose backward takes no notice of the gradient wherever the value is
  // not positive: who adds to it may add 0 there, and then says so.
  bool relu_result() const;

  // Adds a contribution to the gradient, which is of the value's type: `write` is called with the gradient's memory and
  // whether it must accumulate (+=) into it or overwrite it (=). Does nothing when no gradient is wanted. `gated`: see Gradient.
  void add_grad(const std::function<void(Tensor& dx, bool accumulate)>& write, bool gated = false) const;
  // Adds `dx` itself. The first contribution to an intermediate result is taken over without a copy; it is
  // never written to afterwards, so dx may be dy, a view of it, or shared by several inputs.
  void add_grad(const Tensor& dx, bool gated = false) const;

  // add_grad() of a^T * b to a matrix [rows, columns], a [terms, rows], b [terms, columns], which are not written to until backward()
  // ends.
  void add_product_grad(const Tensor& a, const Tensor& b) const;

  // A handle on the gradient without the value: what a backward keeps of an input whose value it does not
  // need, so that the memory of the value can go. Undefined when no gradient is wanted.
  Variable gradient_only() const;

 private:
  struct State;
  struct Node;
  struct Postponed;
  std::shared_ptr<State> state_;
};

// While one lives, functions called on this thread record nothing.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool previous_;
};

bool grad_enabled();

}  // namespace convoy
