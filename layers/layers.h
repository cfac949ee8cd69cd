// The layers, with PyTorch's defaults. Activations are [N,H,W,C] or [N,features].
#pragma once

#include <optional>

#include "layers/module.h"

namespace convoy {

struct Conv2dOptions {
  int64_t in = 0, out = 0;  // channels
  Window kernel{3, 3}, stride{1, 1}, pad{0, 0};
  bool bias = true;
  int64_t groups = 1;  // others are refused with a clear error
};

// Parameters: weight [out, R, S, in], bias [out].
class Conv2d : public Module {
 public:
  explicit Conv2d(const Conv2dOptions& options);
  std::string describe() const override;
  int64_t multiply_adds(const Shape& output) const override;
  void reset_parameters(const RandomKey& key) override;

 protected:
  Variable forward(const Variable& x) override { return forward_then(x, Activation::none); }
  Variable forward_then(const Variable& x, Activation then) override;

 private:
  friend class BatchNorm2d;
  // (*this)(x), and the batch statistics of the result.
  Variable with_statistics(const Variable& x, BatchStatistics& statistics);

  Conv2dOptions options_;
  Variable weight_, bias_;
};

// Height, width and channels of an image.
struct ImageExtent {
  int64_t h = 1, w = 1, c = 0;
  bool operator==(const ImageExtent&) const = default;
};

// Parameters: weight [out, in], bias [out]. `flattened` is the image that a Flatten before it turned into
// features, whose order in files is another one; {} or {1,1,in} when the input never was an image.
class Linear : public Module {
 public:
  Linear(int64_t in, int64_t out, ImageExtent flattened = {}, bool bias = true);
  std::string describe() const override;
  int64_t multiply_adds(const Shape& output) const override;
  void reset_parameters(const RandomKey& key) override;

 protected:
  Variable forward(const Variable& x) override { return forward_then(x, Activation::none); }
  Variable forward_then(const Variable& x, Activation then) override;

 private:
  int64_t in_, out_;
  Variable weight_, bias_;
};

// Parameters: weight [C] (gamma), bias [C] (beta). Buffers: running_mean [C], running_var [C].
class BatchNorm2d : public Module {
 public:
  explicit BatchNorm2d(int64_t channels);
  std::string describe() const override;
  void reset_parameters(const RandomKey& key) override;

  // What (*this)(conv(x), then) gives; while training, the convolution takes the batch's statistics on the way, which
  // saves a GPU a pass over its result.
  Variable after(Conv2d& conv, const Variable& x, Activation then = Activation::none);
  // What max_pool2d(after(conv, x, then), size, size, {0, 0}) gives, pooled in the same pass where that can be done. A
  // ForwardObserver sees after()'s result.
  Variable pooled_after(Conv2d& conv, const Variable& x, Activation then, Window size);

 protected:
  Variable forward(const Variable& x) override { return forward_then(x, Activation::none); }
  Variable forward_then(const Variable& x, Activation then) override;

 private:
  int64_t channels_;
  Variable weight_, bias_;
  BatchNormState state_;
};

class MaxPool2d : public Module {
 public:
  MaxPool2d(Window size, Window stride, Window pad);
  std::string describe() const override;
  // The size of its windows, where they lie side by side without padding.
  std::optional<Window> size_side_by_side() const;

 protected:
  Variable forward(const Variable& x) override { return max_pool2d(x, size_, stride_, pad_); }

 private:
  Window size_, stride_, pad_;
};

class AveragePool2d : public Module {
 public:
  AveragePool2d(Window size, Window stride, Window pad);
  std::string describe() const override;

 protected:
  Variable forward(const Variable& x) override { return average_pool2d(x, size_, stride_, pad_); }

 private:
  Window size_, stride_, pad_;
};

class GlobalAveragePool2d : public Module {  // [N,H,W,C] -> [N,1,1,C]
 public:
  std::string describe() const override { return "GlobalAveragePool2d()"; }

 protected:
  Variable forward(const Variable& x) override { return global_average_pool2d(x); }
};

class UnaryLayer : public Module {  // ReLU, GELU, Sigmoid, Tanh
 public:
  explicit UnaryLayer(Unary function) : function_(function) {}
  Unary function() const { return function_; }
  std::string describe() const override;

 protected:
  Variable forward(const Variable& x) override { return apply(function_, x); }

 private:
  Unary function_;
};

// Zeroes elements with this probability while training; the draws follow step_randomness() and are the same
// for any sharding.
class Dropout : public Module {
 public:
  explicit Dropout(float probability);
  std::string describe() const override;
  void reset_parameters(const RandomKey& key) override { member_ = key.member; }

 protected:
  Variable forward(const Variable& x) override;

 private:
  float probability_;
  uint32_t member_ = 0;
};

class Flatten : public Module {  // [N,H,W,C] -> [N, H*W*C]
 public:
  std::string describe() const override { return "Flatten()"; }

 protected:
  Variable forward(const Variable& x) override { return flatten(x); }
};

// Runs its children in order, named "0", "1", … as nn.Sequential does; fuses a ReLU into the layer before it, the
// statistics of a batch norm into the convolution before that and, unless a ForwardObserver watches, max pooling into the batch norm.
class Sequential : public Module {
 public:
  void append(std::unique_ptr<Module> layer);
  std::string describe() const override;

 protected:
  Variable forward(const Variable& x) override;

 private:
  // Layer i as an M; null where there is none, or another.
  template <class M>
  M* layer(size_t i) const {
    return i < layers_.size() ? dynamic_cast<M*>(layers_[i]) : nullptr;
  }

  std::vector<Module*> layers_;
};

// y = body(x) + shortcut(x); without a shortcut, + x. Children: "body", "shortcut".
class Residual : public Module {
 public:
  Residual(std::unique_ptr<Module> body, std::unique_ptr<Module> shortcut = nullptr);
  std::string describe() const override { return "Residual()"; }

 protected:
  Variable forward(const Variable& x) override;

 private:
  Module* body_;
  Module* shortcut_;
};

}  // namespace convoy
