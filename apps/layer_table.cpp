#include "apps/layer_table.h"

#include <map>

namespace convoy {
namespace {

// "" for the network itself, "layer1.0" for "layer1.0.weight".
std::string owner_of(const std::string& parameter) {
  const size_t dot = parameter.rfind('.');
  return dot == std::string::npos ? "" : parameter.substr(0, dot);
}

}  // namespace

LayerTable tabulate(Module& net, ImageExtent input) {
  std::map<const Module*, std::string> names;
  std::map<std::string, int64_t> children;
  for (const auto& [name, module] : net.modules()) {
    names[module] = name;
    if (!name.empty()) ++children[owner_of(name)];
  }
  std::map<std::string, int64_t> own_parameters;
  LayerTable table;
  for (const NamedVariable& parameter : net.parameters()) {
    own_parameters[owner_of(parameter.name)] += parameter.variable.value().count();
    table.parameters += parameter.variable.value().count();
  }

  const NoGrad no_grad;
  net.set_training(false);
  const ForwardObserver observer([&](const Module& module, const Variable& output) {
    const std::string& name = names.at(&module);
    const int64_t multiply_adds = module.multiply_adds(output.shape());
    table.multiply_adds += multiply_adds;
    if (children.contains(name)) return;
    table.rows.push_back({.name = name,
                          .description = module.describe(),
                          .output = Shape(output.shape().extents().subspan(1)),
                          .parameters = own_parameters[name],
                          .multiply_adds = multiply_adds});
  });
  net(Variable(Tensor::zeros({1, input.h, input.w, input.c})));
  return table;
}

}  // namespace convoy
