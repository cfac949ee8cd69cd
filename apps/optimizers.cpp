#include "apps/optimizers.h"

#include "tensor/find_row.h"

namespace convoy {
namespace {

std::unique_ptr<Optimizer> sgd(std::vector<Variable> parameters, const Settings& settings) {
  return make_sgd(
      std::move(parameters),
      {.momentum = settings.momentum, .weight_decay = settings.weight_decay, .nesterov = settings.nesterov});
}

std::unique_ptr<Optimizer> adam(std::vector<Variable> parameters, const Settings& settings) {
  return make_adam(std::move(parameters), {.weight_decay = settings.weight_decay});
}

std::unique_ptr<Optimizer> adamw(std::vector<Variable> parameters, const Settings& settings) {
  return make_adam(std::move(parameters), {.weight_decay = settings.weight_decay, .decoupled = true});
}

constexpr OptimizerRow kOptimizers[] = {
    {"sgd", "stochastic gradient descent with --momentum and --nesterov", sgd},
    {"adam", "Adam; --weight-decay adds to the gradient", adam},
    {"adamw", "Adam with decoupled --weight-decay", adamw},
};

}  // namespace

std::span<const OptimizerRow> optimizer_table() { return kOptimizers; }

const OptimizerRow& find_optimizer(std::string_view name) { return find_row("optimizer", name, kOptimizers); }

std::unique_ptr<Optimizer> make_optimizer(const Module& net, const Settings& settings) {
  std::vector<Variable> parameters;
  for (const NamedVariable& parameter : net.parameters()) parameters.push_back(parameter.variable);
  std::unique_ptr<Optimizer> optimizer = find_optimizer(settings.optimizer).make(std::move(parameters), settings);
  if (settings.clip_norm > 0) optimizer->clip_norm(settings.clip_norm);
  return optimizer;
}

}  // namespace convoy
