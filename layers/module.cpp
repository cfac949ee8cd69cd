#include "layers/module.h"

#include "tensor/work.h"

namespace convoy {
namespace {

thread_local ForwardObserver* innermost_observer = nullptr;

std::string dotted(const std::string& prefix, const std::string& name) {
  return prefix.empty() ? name : prefix + "." + name;
}

}  // namespace

Variable Module::operator()(const Variable& x, Activation then) {
  const WorkScope work(this);
  Variable y = forward_then(x, then);
  ForwardObserver::notify(*this, y);
  return y;
}

Variable Module::forward_then(const Variable& x, Activation then) {
  const Variable y = forward(x);
  return then == Activation::relu ? relu(y) : y;
}

std::vector<NamedVariable> Module::collect(std::vector<NamedVariable> Module::*list) const {
  std::vector<NamedVariable> all = this->*list;
  for (const Child& child : children_)
    for (NamedVariable& variable : child.module->collect(list)) {
      variable.name = dotted(child.name, variable.name);
      all.push_back(std::move(variable));
    }
  return all;
}

int64_t count_of_parameters(const Module& module) {
  int64_t count = 0;
  for (const NamedVariable& parameter : module.parameters()) count += parameter.variable.value().count();
  return count;
}

std::vector<NamedVariable> Module::parameters() const { return collect(&Module::parameters_); }
std::vector<NamedVariable> Module::buffers() const { return collect(&Module::buffers_); }

std::vector<Module::NamedModule> Module::modules() {
  std::vector<NamedModule> all{{"", this}};
  for (const Child& child : children_)
    for (const NamedModule& inner : child.module->modules())
      all.push_back({inner.name.empty() ? child.name : dotted(child.name, inner.name), inner.module});
  return all;
}

void Module::set_training(bool training) {
  training_ = training;
  for (const Child& child : children_) child.module->set_training(training);
}

Variable Module::add_parameter(std::string name, const Shape& shape, FileLayout layout) {
  Variable parameter(Tensor::zeros(shape), true);
  parameters_.push_back({std::move(name), parameter, layout});
  return parameter;
}

Tensor Module::add_buffer(std::string name, Tensor value) {
  buffers_.push_back({std::move(name), Variable(value), {}});
  return value;
}

Module& Module::add_child(std::string name, std::unique_ptr<Module> child) {
  children_.push_back({std::move(name), std::move(child)});
  return *children_.back().module;
}

ForwardObserver::ForwardObserver(Callback callback) : callback_(std::move(callback)), previous_(innermost_observer) {
  innermost_observer = this;
}

ForwardObserver::~ForwardObserver() { innermost_observer = previous_; }

bool ForwardObserver::watching() { return innermost_observer != nullptr; }

void ForwardObserver::notify(const Module& module, const Variable& output) {
  for (const ForwardObserver* observer = innermost_observer; observer; observer = observer->previous_)
    observer->callback_(module, output);
}

StepRandomness& step_randomness() {
  thread_local StepRandomness randomness;
  return randomness;
}

}  // namespace convoy
