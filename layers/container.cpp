// Layers made of layers.
#include "layers/layers.h"

namespace convoy {

void Sequential::append(std::unique_ptr<Module> layer) {
  layers_.push_back(&add_child(std::to_string(layers_.size()), std::move(layer)));
}

std::string Sequential::describe() const { return fmt::format("Sequential({} layers)", layers_.size()); }

Variable Sequential::forward(const Variable& x) {
  Variable y = x;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const size_t first = i;
    Conv2d* const conv = layer<Conv2d>(i);
    BatchNorm2d* const norm = conv != nullptr ? layer<BatchNorm2d>(i + 1) : nullptr;
    if (norm != nullptr) ++i;
    const UnaryLayer* const unary = layer<UnaryLayer>(i + 1);
    const bool relu = unary != nullptr && unary->function() == Unary::relu;
    const Activation then = relu ? Activation::relu : Activation::none;
    const size_t next = i + (relu ? 2 : 1);
    const MaxPool2d* const pool = norm != nullptr && !ForwardObserver::watching() ? layer<MaxPool2d>(next) : nullptr;
    if (const std::optional<Window> size = pool != nullptr ? pool->size_side_by_side() : std::nullopt) {
      y = norm->pooled_after(*conv, y, then, *size);
      i = next;
      continue;
    }
    y = norm != nullptr ? norm->after(*conv, y, then) : (*layers_[first])(y, then);
    if (relu) ForwardObserver::notify(*layers_[++i], y);
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
