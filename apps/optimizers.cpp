#include "apps/optimizers.h"

#include <string>

#include "tensor/error.h"

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

const OptimizerRow& find_optimizer(std::string_view name) {
  std::vector<std::string> known;
  for (const OptimizerRow& row : kOptimizers) {
    if (row.name == name) return row;
    known.emplace_back(row.name);
  }
  throw unknown_name("optimizer", name, known);
}

}  // namespace convoy
