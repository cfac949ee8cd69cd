#include "apps/nonfinite.h"

#include <fmt/format.h>

#include "tensor/ops.h"

namespace convoy {
namespace {

bool is_finite(const Tensor& x) { return count_nonfinite(x) == 0; }

std::string name_in(Module& net, const Module* wanted) {
  for (const auto& [name, module] : net.modules()) {
    if (module == wanted) return name;
  }
  return "";
}

}  // namespace

std::string first_nonfinite(Module& net, const Tensor& images) {
  if (!is_finite(images)) return "first in the input images";
  const Module* first = nullptr;
  {
    const NoGrad no_grad;
    // Children report before their parents, so the first report is the innermost layer.
    const ForwardObserver observer([&](const Module& module, const Variable& output) {
      if (first == nullptr && !is_finite(output.value())) first = &module;
    });
    net(Variable(images));
  }
  if (first == nullptr) return "in the cross entropy of finite outputs";
  const std::string layer = name_in(net, first);
  std::string text = fmt::format("first in the output of layer '{}', {}", layer, first->describe());
  for (const NamedVariable& parameter : net.parameters()) {
    const bool own = layer.empty() || parameter.name.starts_with(layer + ".");
    if (own && !is_finite(parameter.variable.value()))
      return text + fmt::format(", because of its parameter '{}'", parameter.name);
  }
  return text;
}

// The first step's forward pass knows no learning rate yet.
std::string cure_of_nonfinite(const Settings& settings, int64_t step) {
  if (step == 1 && !settings.init.empty()) return fmt::format("the weights are those of {}", settings.init.string());
  return fmt::format("try a --lr below {}", settings.lr);
}

}  // namespace convoy
