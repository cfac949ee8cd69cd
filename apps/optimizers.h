// The optimizers that the command line offers, in one explicit table.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "apps/settings.h"
#include "autograd/optimizer.h"
#include "layers/module.h"

namespace convoy {

struct OptimizerRow {
  const char* name;  // "sgd", "adam", "adamw"
  const char* help;
  std::unique_ptr<Optimizer> (*make)(std::vector<Variable> parameters, const Settings& settings);
};

std::span<const OptimizerRow> optimizer_table();
const OptimizerRow& find_optimizer(std::string_view name);  // throws unknown_name

// Of all parameters of `net`, as the settings want it, clipping included.
std::unique_ptr<Optimizer> make_optimizer(const Module& net, const Settings& settings);

}  // namespace convoy
