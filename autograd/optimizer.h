// Optimizers: update parameters from their gradients, PyTorch's formulas and defaults, all parameters in one
// pass over memory, but for large weights that backward() can update.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/variable.h"
#include "tensor/kernels.h"
#include "tensor/work.h"

namespace convoy {

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

class Optimizer {
 public:
  // Throws Error(usage) for a parameter that requires no gradient.
  explicit Optimizer(std::vector<Variable> parameters);
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // One update with learning rate `lr`. A parameter without a gradient is left alone.
  void step(float lr) {
    const WorkScope work("optimizer", Work::Pass::update);
    apply(advance(lr));
  }
  // loss.backward(), then step(lr), with the same bits, for parameters that are each here once and whose gradients were cleared. Where
  // gradients are not clipped, a large weight may be updated by backward() (Variable::update_by_product); it has no
  // gradient afterwards, for anybody. If the loss cannot be differentiated, nothing is updated.
  void minimize(const Variable& loss, float lr);
  // The two halves of a step, for one whose kernels are recorded once and replayed: counts one more update and says what it
  // goes by; enqueues it.
  virtual StepScalars advance(float lr) = 0;
  virtual void apply(const StepScalars& scalars) = 0;
  void clear_grad();

  // From now on the gradients of an update are scaled down together where their L2 norm is above `max_norm`, to that
  // (kernels.h, clip_scale). Throws Error(usage) unless it is above 0.
  void clip_norm(float max_norm);

  // Moments and counters for checkpoints, named by the parameter's position ("3.momentum", "3.first",
  // "3.second") and "steps", the i32 counters [parameters]. In a fixed order; the tensors share storage with
  // the optimizer's own, so loading is copy_from().
  virtual std::vector<NamedTensor> state() = 0;

 protected:
  // How parameter `index`, a matrix, is updated by a gradient that is a product. Empty, as here: it waits for apply().
  virtual Variable::ProductUpdate product_update(size_t index, float lr);

  // The pieces of an update of parameters [begin, end); a parameter without a gradient gets no piece.
  std::span<const ParameterSlice> slices(size_t begin, size_t end);

  // Of one parameter, which may have no gradient.
  ParameterSlice slice_of(size_t index);

  // What all gradients of this update are to be multiplied by, [1] on the device; null: nothing.
  const float* gradient_scale();

  std::vector<Variable> parameters_;
  std::vector<Tensor> first_, second_;  // moments, zero at first; empty where the method has none

 private:
  float max_norm_ = 0;
  Tensor gradient_scale_;               // f32 [1]; undefined without clipping
  std::vector<ParameterSlice> slices_;  // kept, so that a step allocates nothing
};

struct SgdOptions {
  float momentum = 0, weight_decay = 0;
  bool nesterov = false;
};

struct AdamOptions {
  double beta1 = 0.9, beta2 = 0.999;
  float epsilon = 1e-8f, weight_decay = 0;
  bool decoupled = false;  // AdamW
};

// Throw Error(usage) for options out of range.
std::unique_ptr<Optimizer> make_sgd(std::vector<Variable> parameters, const SgdOptions& options);
std::unique_ptr<Optimizer> make_adam(std::vector<Variable> parameters, const AdamOptions& options);

}  // namespace convoy
