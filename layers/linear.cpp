// The fully connected layer, and what files need to know of a flattened input.
#include "layers/initialise.h"
#include "layers/layers.h"

namespace convoy {

Linear::Linear(int64_t in, int64_t out, ImageExtent flattened, bool bias) : in_(in), out_(out) {
  CHECK(in > 0 && out > 0, "Linear: {} features in, {} out; both must be positive", in, out);
  const auto& [h, w, c] = flattened;
  FileLayout layout;
  if (h * w > 1) {
    CHECK(h * w * c == in, "Linear: {} features in, but a flattened image of {}x{}x{} has {}", in, h, w, c, h * w * c);
    layout = {.kind = FileLayout::Kind::after_flatten, .h = h, .w = w, .c = c};
  }
  weight_ = add_parameter("weight", {out, in}, layout);
  if (bias) bias_ = add_parameter("bias", {out});
}

std::string Linear::describe() const {
  return fmt::format("Linear({}, {}{})", in_, out_, bias_.defined() ? "" : ", no bias");
}

int64_t Linear::multiply_adds(const Shape& output) const { return output.count() * in_; }

void Linear::reset_parameters(const RandomKey& key) {
  fill_kaiming_uniform(weight_.value(), key, ParameterRole::weight, in_);
  if (bias_.defined()) fill_kaiming_uniform(bias_.value(), key, ParameterRole::bias, in_);
}

Variable Linear::forward_then(const Variable& x, Activation then) {
  return linear(x, weight_, bias_, then == Activation::relu);
}

}  // namespace convoy
