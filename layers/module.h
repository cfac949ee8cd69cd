// Module: a layer or a network with named parameters and buffers. Names are PyTorch's ("conv1.weight",
// "bn1.running_mean"), so weights exchange without a mapping.
//
//   class Net : public Module {
//     Conv2d& conv1 = add<Conv2d>("conv1", Conv2dOptions{.in = 1, .out = 32, .kernel = {3, 3}});
//     Linear& fc = add<Linear>("fc", 21632, 10, ImageExtent{26, 26, 32});
//     Variable forward(const Variable& x) override { return fc(flatten(conv1(x, Activation::relu))); }
//   };
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "autograd/autograd.h"

namespace convoy {

// How a parameter is laid out in a file (PyTorch's way) compared with memory (ours).
struct FileLayout {
  enum class Kind {
    same,           // no difference
    filter,         // memory [K,R,S,C], file [K,C,R,S]
    after_flatten,  // memory [out, H*W*C], file [out, C*H*W]: a Linear behind a Flatten of [H,W,C] images
  };
  Kind kind = Kind::same;
  int64_t h = 1, w = 1, c = 1;  // after_flatten: the image that was flattened
};

// A parameter (trainable) or buffer (state, such as running statistics) with its full dotted name.
struct NamedVariable {
  std::string name;
  Variable variable;
  FileLayout layout;
};

enum class Activation { none, relu };

class Module {
 public:
  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;  // children refer to their parents' members
  Module& operator=(const Module&) = delete;

  // Runs the module, then tells the observer, if one is set on this thread. `then` asks for an activation on
  // the result; layers that can fuse it do, others apply it afterwards.
  Variable operator()(const Variable& x, Activation then = Activation::none);

  // All parameters (buffers) of this module and its children, own first, in order of registration.
  std::vector<NamedVariable> parameters() const;
  std::vector<NamedVariable> buffers() const;

  // This module and all its descendants, parents first, with their dotted names ("" for this one).
  struct NamedModule {
    std::string name;
    Module* module;
  };
  std::vector<NamedModule> modules();

  void set_training(bool training);  // and of all children
  bool training() const { return training_; }

  virtual std::string describe() const = 0;  // "Conv2d(3, 32, 3x3, pad 1)"

  // Multiply-adds of one forward pass for an output of this shape; 0 for what is not counted.
  virtual int64_t multiply_adds(const Shape& /*output*/) const { return 0; }

  // Fills own parameters with PyTorch's default distribution. `key` is unique to this module and to the seed.
  virtual void reset_parameters(const RandomKey& /*key*/) {}

 protected:
  virtual Variable forward(const Variable& x) = 0;
  // Override in layers that can fuse an activation; the default runs forward() and applies `then`.
  virtual Variable forward_then(const Variable& x, Activation then);

  Variable add_parameter(std::string name, const Shape& shape, FileLayout layout = {});
  Tensor add_buffer(std::string name, Tensor value);  // shares storage with the registered buffer
  template <class M, class... Args>
  M& add(std::string name, Args&&... args) {
    auto child = std::make_unique<M>(std::forward<Args>(args)...);
    M& reference = *child;
    add_child(std::move(name), std::move(child));
    return reference;
  }
  Module& add_child(std::string name, std::unique_ptr<Module> child);

 private:
  struct Child {
    std::string name;
    std::unique_ptr<Module> module;
  };
  std::vector<NamedVariable> collect(std::vector<NamedVariable> Module::*list) const;

  std::vector<NamedVariable> parameters_, buffers_;
  std::vector<Child> children_;
  bool training_ = true;
};

// While one lives, it is called on this thread after every module's forward with the module and its output,
// children before their parents: layer tables, profiles, and the search for the first non-finite layer are
// built on it. Each module is seen once a pass; a ReLU that was fused into the layer before it is seen right
// after that layer, both with the activated output.
class ForwardObserver {
 public:
  using Callback = std::function<void(const Module&, const Variable& output)>;
  explicit ForwardObserver(Callback callback);
  ~ForwardObserver();
  ForwardObserver(const ForwardObserver&) = delete;
  ForwardObserver& operator=(const ForwardObserver&) = delete;

  static bool watching();  // whether this thread has one

  // Tells the observers of this thread, innermost first. Module::operator() does it; Sequential does it for
  // an activation it fused away.
  static void notify(const Module& module, const Variable& output);

 private:
  Callback callback_;
  ForwardObserver* previous_;
};

// Draws of the running training step (dropout); set by the trainer, per thread.
struct StepRandomness {
  uint64_t seed = 0;
  uint32_t step = 0;
  int64_t first_sample = 0;  // position of this thread's first sample in the global batch
};
StepRandomness& step_randomness();

int64_t count_of_parameters(const Module& module);  // elements

// Fills every parameter of `module` from the seed: a function of (seed, parameter name) alone.
void initialise(Module& module, uint64_t seed);

}  // namespace convoy
