// Layers without parameters that work element by element.
#include "layers/layers.h"

namespace convoy {

std::string UnaryLayer::describe() const {
  switch (function_) {
    case Unary::relu:
      return "ReLU()";
    case Unary::gelu:
      return "GELU()";
    case Unary::sigmoid:
      return "Sigmoid()";
    case Unary::tanh:
      return "Tanh()";
  }
  return "?";
}

Dropout::Dropout(float probability) : probability_(probability) {
  CHECK(probability >= 0 && probability < 1, "Dropout: probability {} must be in [0, 1)", probability);
}

std::string Dropout::describe() const { return fmt::format("Dropout({})", probability_); }

Variable Dropout::forward(const Variable& x) {
  if (!training() || probability_ == 0) return x;
  const StepRandomness& now = step_randomness();
  const int64_t per_sample = x.shape()[0] == 0 ? 0 : x.shape().count() / x.shape()[0];
  return dropout(x, probability_,
                 {.seed = now.seed, .stream = RandomStream::dropout, .step = now.step, .member = member_},
                 static_cast<uint64_t>(now.first_sample * per_sample));
}

}  // namespace convoy
