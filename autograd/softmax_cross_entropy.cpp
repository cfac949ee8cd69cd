#include "autograd/autograd.h"
#include "tensor/work.h"

namespace convoy {

Variable softmax_cross_entropy(const Variable& logits, const Tensor& labels, float smoothing, int64_t samples) {
  const WorkScope work("loss");
  CHECK(logits.shape().rank() != 2 || logits.shape()[0] > 0 || samples > 0,
        "softmax_cross_entropy: the mean over no samples (logits {})", logits.shape());
  const Variable wide = convert(logits, DType::f32);
  const SoftmaxCrossEntropyResult result = softmax_cross_entropy(wide.value(), labels, smoothing);
  const float share = 1.0f / static_cast<float>(samples > 0 ? samples : labels.count());  // of one sample in the mean
  auto backward = [labels, smoothing, share, probability = result.probability,
                   logits_grad = wide.gradient_only()](const Tensor& dy) {
    logits_grad.add_grad([&](Tensor& dlogits, bool accumulate) {
      kernels(dy.device())
          .softmax_cross_entropy_backward(current_stream(), probability.size(0), probability.size(1),
                                          probability.data<float>(), labels.data<int32_t>(), smoothing,
                                          dy.data<float>(), share, accumulate, dlogits.data<float>());
    });
  };
  return Variable::record("softmax_cross_entropy", scale(sum(result.loss), share), {wide}, std::move(backward));
}

}  // namespace convoy
