// Convolution as a layer: it owns the filters and knows its cost.
#include "layers/initialise.h"
#include "layers/layers.h"
#include "layers/window_text.h"
#include "tensor/work.h"

namespace convoy {

Conv2d::Conv2d(const Conv2dOptions& options) : options_(options) {
  const auto& [in, out, kernel, stride, pad, bias, groups] = options;
  CHECK(in > 0 && out > 0, "Conv2d: {} channels in, {} out; both must be positive", in, out);
  CHECK(kernel.h > 0 && kernel.w > 0, "Conv2d: kernel {} must be positive", text_of(kernel));
  CHECK(stride.h > 0 && stride.w > 0, "Conv2d: stride {} must be positive", text_of(stride));
  CHECK(pad.h >= 0 && pad.w >= 0, "Conv2d: pad {} must not be negative", text_of(pad));
  CHECK(groups == 1, "Conv2d: groups = {} is not supported, only 1 (every filter sees all {} channels)", groups, in);
  weight_ = add_parameter("weight", {out, kernel.h, kernel.w, in}, {.kind = FileLayout::Kind::filter});
  if (bias) bias_ = add_parameter("bias", {out});
}

std::string Conv2d::describe() const {
  std::string text = fmt::format("Conv2d({}, {}, {}", options_.in, options_.out, text_of(options_.kernel));
  if (options_.stride.h != 1 || options_.stride.w != 1) text += ", stride " + short_text_of(options_.stride);
  if (options_.pad.h != 0 || options_.pad.w != 0) text += ", pad " + short_text_of(options_.pad);
  return text + (options_.bias ? ")" : ", no bias)");
}

int64_t Conv2d::multiply_adds(const Shape& output) const {
  return output.count() * options_.kernel.h * options_.kernel.w * options_.in;
}

void Conv2d::reset_parameters(const RandomKey& key) {
  const int64_t fan_in = options_.kernel.h * options_.kernel.w * options_.in;
  fill_kaiming_uniform(weight_.value(), key, ParameterRole::weight, fan_in);
  if (bias_.defined()) fill_kaiming_uniform(bias_.value(), key, ParameterRole::bias, fan_in);
}

Variable Conv2d::with_statistics(const Variable& x, BatchStatistics& statistics) {
  const WorkScope work(this);
  const Variable y = conv2d(x, weight_, bias_, options_.stride, options_.pad, false, &statistics);
  ForwardObserver::notify(*this, y);
  return y;
}

Variable Conv2d::forward_then(const Variable& x, Activation then) {
  return conv2d(x, weight_, bias_, options_.stride, options_.pad, then == Activation::relu);
}

}  // namespace convoy
