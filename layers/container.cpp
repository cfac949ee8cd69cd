// Layers made of layers.
#include "layers/layers.h"

namespace convoy {

void Sequential::append(std::unique_ptr<Module> layer) {
  layers_.push_back(&add_child(std::to_string(layers_.size()), std::move(layer)));
}

std::string Sequential::describe() const { return fmt::format("Sequential({} layers)", layers_.size()); }

Variable Sequential::forward(const Variable& x) {
  const auto is_relu = [&](size_t i) {
    const auto* unary = i < layers_.size() ? dynamic_cast<const UnaryLayer*>(layers_[i]) : nullptr;
    return unary && unary->function() == Unary::relu;
  };
  Variable y = x;
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (!is_relu(i + 1)) {
      y = (*layers_[i])(y);
    } else {
      y = (*layers_[i])(y, Activation::relu);
      ForwardObserver::notify(*layers_[++i], y);
    }
  }
  return y;
}

Residual::Residual(std::unique_ptr<Module> body, std::unique_ptr<Module> shortcut)
    : body_(&add_child("body", std::move(body))),
      shortcut_(shortcut ? &add_child("shortcut", std::move(shortcut)) : nullptr) {}

Variable Residual::forward(const Variable& x) {
  const Variable y = (*body_)(x);
  return convoy::add(y, shortcut_ ? (*shortcut_)(x) : x);
}

}  // namespace convoy
