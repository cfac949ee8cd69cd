#include "autograd/variable.h"

#include <algorithm>
#include <atomic>

#include "tensor/kernels.h"
#include "tensor/work.h"

namespace convoy {

// What all handles on one variable share. A variable that wants no gradient has no node.
struct Variable::State {
  Tensor value;
  std::shared_ptr<Node> node;
};

// Where the gradient of one variable is gathered and, for the result of a function, how it flows on to the
// inputs. Nodes own the nodes of their inputs, never their values: what a backward needs of those, its
// closure holds.
struct Variable::Node {
  Shape shape;
  DType dtype = DType::f32;
  Device device;
  Tensor grad;            // of a leaf: its memory outlives clear_grad(); of a result: gone when the node has run
  bool has_grad = false;  // `grad` holds contributions
  bool borrowed = false;  // others may hold `grad`, so it is never written to
  bool gated = false;     // so are all contributions
  int64_t awaited = 0;    // contributions that the running backward() still owes

  // Leaves.
  std::weak_ptr<State> leaf;
  std::vector<std::function<void(const Variable&)>> hooks;
  ProductUpdate product_update;

  // Results.
  const char* function = nullptr;  // null for a leaf
  bool relu_result = false;
  uint64_t sequence = 0;  // order of creation
  std::vector<std::shared_ptr<Node>> inputs;
  Backward backward;     // empty once run
  Work work;             // what `backward` is done for
  bool visited = false;  // scratch of collect()

  ~Node();
  bool is_leaf() const { return function == nullptr; }
  void contribution_arrived();
  void release();

  static thread_local std::vector<Postponed>* postponed;  // of the innermost backward() that runs
  static std::vector<std::shared_ptr<Node>> collect(const std::shared_ptr<Node>& root);
};

namespace {

// Process-wide, so that creation order is meaningful even where one thread continues what another began.
std::atomic<uint64_t> next_sequence{0};

thread_local bool grad_is_enabled = true;
thread_local size_t contributions = 0;  // calls of add_grad() so far, to catch a backward that forgets an input

}  // namespace

// An update by a product, which waits until nothing of the tape reads the value any more.
struct Variable::Postponed {
  std::shared_ptr<Node> node;
  Tensor a, b;
  Work work;
};

thread_local std::vector<Variable::Postponed>* Variable::Node::postponed = nullptr;

// --- nodes --------------------------------------------------------------------------------------------------------

// Nodes that only this one keeps alive are taken apart in a loop: by recursion, a long chain would overflow
// the stack.
Variable::Node::~Node() {
  std::vector<std::shared_ptr<Node>> owned = std::move(inputs);
  backward = nullptr;
  while (!owned.empty()) {
    const std::shared_ptr<Node> node = std::move(owned.back());
    owned.pop_back();
    if (node.use_count() > 1) continue;
    std::move(node->inputs.begin(), node->inputs.end(), std::back_inserter(owned));
    node->inputs.clear();
    node->backward = nullptr;  // its handles go while `owned` still holds their nodes, so nothing is destroyed here
  }
}

void Variable::Node::contribution_arrived() {
  ++contributions;
  if (awaited == 0 || --awaited > 0 || !is_leaf()) return;
  const std::shared_ptr<State> state = leaf.lock();
  if (state == nullptr) return;  // the last handle is gone: there is nobody to tell
  Variable variable;
  variable.state_ = state;
  for (size_t i = 0; i < hooks.size(); ++i) hooks[i](variable);
}

// Gives up what the backward pass needed. A node that was released cannot run again.
void Variable::Node::release() {
  inputs.clear();
  backward = nullptr;
  grad = Tensor();
  has_grad = borrowed = false;
  awaited = 0;
}

// The results that `root` depends on, itself included, latest first.
std::vector<std::shared_ptr<Variable::Node>> Variable::Node::collect(const std::shared_ptr<Node>& root) {
  std::vector<std::shared_ptr<Node>> found;
  const auto visit = [&](const std::shared_ptr<Node>& node) {
    if (node->is_leaf() || node->visited) return;
    node->visited = true;
    found.push_back(node);
  };
  visit(root);
  for (size_t i = 0; i < found.size(); ++i) {
    const Node& node = *found[i];
    for (const std::shared_ptr<Node>& input : node.inputs) visit(input);
  }
  for (const std::shared_ptr<Node>& node : found) node->visited = false;
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a->sequence > b->sequence; });
  return found;
}

// --- variables ----------------------------------------------------------------------------------------------------

Variable::Variable(Tensor value, bool requires_grad) : state_(std::make_shared<State>()) {
  CHECK(value.defined(), "variable: the value is undefined");
  CHECK(!requires_grad || value.dtype() == DType::f32, "variable: {} values have no gradient, only f32",
        name_of(value.dtype()));
  state_->value = std::move(value);
  if (!requires_grad) return;
  state_->node = std::make_shared<Node>();
  state_->node->shape = state_->value.shape();
  state_->node->device = state_->value.device();
  state_->node->leaf = state_;
}

const Tensor& Variable::value() const {
  CHECK(defined(), "variable: value of an undefined variable");
  return state_->value;
}

Tensor& Variable::value() {
  CHECK(defined(), "variable: value of an undefined variable");
  return state_->value;
}

bool Variable::requires_grad() const { return defined() && state_->node != nullptr; }

bool Variable::has_grad() const { return requires_grad() && state_->node->has_grad; }

const Tensor& Variable::grad() const {
  CHECK(requires_grad(), "grad: the variable does not require a gradient");
  CHECK(state_->node->has_grad, "grad: no gradient has flowed into {} yet", state_->node->shape);
  return state_->node->grad;
}

void Variable::clear_grad() {
  if (requires_grad()) state_->node->has_grad = false;
}

void Variable::place_grad(Tensor memory) {
  CHECK(requires_grad() && state_->node->is_leaf(), "place_grad: only leaves that require a gradient keep one");
  Node& node = *state_->node;
  CHECK(memory.defined() && memory.dtype() == DType::f32 && memory.shape() == node.shape &&
            memory.device() == node.device,
        "place_grad: memory is {} {} on {}, expected f32 {} on {}", name_of(memory.dtype()), memory.shape(),
        memory.device().text(), node.shape, node.device.text());
  if (node.has_grad) memory.copy_from(node.grad);
  node.grad = std::move(memory);
}

void Variable::on_grad_ready(std::function<void(const Variable&)> hook) {
  CHECK(requires_grad() && state_->node->is_leaf(), "on_grad_ready: only leaves that require a gradient have hooks");
  state_->node->hooks.push_back(std::move(hook));
}

void Variable::update_by_product(ProductUpdate update) {
  if (requires_grad()) state_->node->product_update = std::move(update);
}

Variable Variable::record(const char* function, Tensor value, std::vector<Variable> inputs, Backward backward,
                          const FunctionArguments& arguments, bool relu_result) {
  Variable result(std::move(value));
  FunctionObserver::notify({function, inputs, result, arguments});
  if (!grad_enabled()) return result;
  std::vector<std::shared_ptr<Node>> nodes;
  for (const Variable& input : inputs) {
    if (input.requires_grad()) nodes.push_back(input.state_->node);
  }
  if (nodes.empty()) return result;
  result.state_->node = std::make_shared<Node>();
  Node& node = *result.state_->node;
  node.shape = result.shape();
  node.dtype = result.value().dtype();
  node.device = result.value().device();
  node.function = function;
  node.relu_result = relu_result;
  node.sequence = next_sequence++;
  node.inputs = std::move(nodes);
  node.backward = std::move(backward);
  node.work = current_work();
  node.work.pass = Work::Pass::backward;
  return result;
}

Variable Variable::gradient_only() const {
  Variable handle;
  if (!requires_grad()) return handle;
  handle.state_ = std::make_shared<State>();
  handle.state_->node = state_->node;
  return handle;
}

// --- gradients ----------------------------------------------------------------------------------------------------

bool Variable::relu_result() const { return requires_grad() && state_->node->relu_result; }

void Variable::add_grad(const std::function<void(Tensor& dx, bool accumulate)>& write, bool gated) const {
  if (!requires_grad()) return;
  Node& node = *state_->node;
  if (!node.grad.defined()) node.grad = Tensor::empty(node.shape, node.dtype, node.device);
  if (node.borrowed) node.grad = node.grad.clone();
  node.borrowed = false;
  write(node.grad, node.has_grad);
  node.gated = gated && (node.gated || !node.has_grad);
  node.has_grad = true;
  node.contribution_arrived();
}

void Variable::add_product_grad(const Tensor& a, const Tensor& b) const {
  if (!requires_grad()) return;
  Node& node = *state_->node;
  if (node.is_leaf() && node.awaited == 1 && !node.has_grad && node.hooks.empty() && node.product_update.wanted &&
      node.product_update.wanted(a.size(0))) {
    Node::postponed->push_back({state_->node, a, b, current_work()});
    node.contribution_arrived();
    return;
  }
  add_grad([&](Tensor& grad, bool accumulate) {
    kernels(a.device())
        .gemm(current_stream(), {.m = a.size(1), .n = b.size(1), .k = a.size(0), .transpose_a = true}, a, b, {},
              accumulate, grad);
  });
}

void Variable::add_grad(const Tensor& dx, bool gated) const {
  if (!requires_grad()) return;
  Node& node = *state_->node;
  CHECK(dx.shape() == node.shape && dx.dtype() == node.dtype,
        "add_grad: contribution {} to a gradient of {} ({} to {})", dx.shape(), node.shape, name_of(dx.dtype()),
        name_of(node.dtype));
  if (!node.is_leaf() && !node.has_grad) {
    node.grad = dx;
    node.has_grad = node.borrowed = true;
    node.gated = gated;
    node.contribution_arrived();
    return;
  }
  add_grad(
      [&dx](Tensor& grad, bool accumulate) {
        if (!accumulate) {
          grad.copy_from(dx);
        } else {
          kernels(dx.device()).binary_forward(current_stream(), Binary::add, dx.count(), grad, dx, grad);
        }
      },
      gated);
}

void Variable::backward() const {
  CHECK(defined(), "backward: the variable is undefined");
  CHECK(value().count() == 1, "backward: {} is not a single value; take its sum or mean first", shape());
  CHECK(requires_grad(), "backward: nothing it was computed from requires a gradient, or NoGrad was in force");

  const std::shared_ptr<Node>& root = state_->node;
  std::vector<std::shared_ptr<Node>> nodes = Node::collect(root);
  for (const std::shared_ptr<Node>& node : nodes) {
    CHECK(node->backward != nullptr,
          "backward: '{}' has been differentiated before and its saved values are freed; "
          "compute it again",
          node->function);
  }

  // However this ends, nothing is left half done.
  std::vector<Postponed> updates;
  struct Finish {
    std::vector<std::shared_ptr<Node>>& nodes;
    Node& root;
    size_t outer_contributions = contributions;
    std::vector<Postponed>* outer_postponed = Node::postponed;
    ~Finish() {
      Node::postponed = outer_postponed;
      root.awaited = 0;
      for (const std::shared_ptr<Node>& node : nodes) {
        for (const std::shared_ptr<Node>& input : node->inputs) input->awaited = 0;
        node->release();
      }
      contributions = outer_contributions;
    }
  } finish{nodes, *root};
  Node::postponed = &updates;

  for (const std::shared_ptr<Node>& node : nodes) {
    for (const std::shared_ptr<Node>& input : node->inputs) ++input->awaited;
  }
  ++root->awaited;
  {
    const WorkScope work(root->work);
    Tensor one = Tensor::empty(shape(), value().dtype(), value().device());
    kernels(one.device()).fill(current_stream(), 1, 1.0f, one);
    add_grad(one);
  }

  for (const std::shared_ptr<Node>& node : nodes) {
    const Gradient dy{std::move(node->grad), node->gated};
    node->grad = Tensor();
    const size_t before = contributions;
    const WorkScope work(node->work);
    node->backward(dy);
    if (contributions - before != node->inputs.size()) {
      fail(ErrorKind::internal, "backward: '{}' made {} contributions to the gradients of {} inputs", node->function,
           contributions - before, node->inputs.size());
    }
    node->release();
  }
  for (const Postponed& update : updates) {
    const WorkScope work(update.work);
    update.node->product_update.run(update.a, update.b);
  }
}

// --- no grad ------------------------------------------------------------------------------------------------------

NoGrad::NoGrad() : previous_(grad_is_enabled) { grad_is_enabled = false; }
NoGrad::~NoGrad() { grad_is_enabled = previous_; }

bool grad_enabled() { return grad_is_enabled; }

}  // namespace convoy
