#include "apps/evaluation.h"

#include <cmath>

#include "apps/nonfinite.h"
#include "apps/number_text.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/work.h"

namespace convoy {

int64_t count_correct(const Tensor& logits, const Tensor& labels) {
  const WorkScope work("accuracy");
  const Tensor predicted = argmax(logits).to(Device{}), expected = labels.to(Device{});
  const int32_t* prediction = predicted.data<int32_t>();
  const int32_t* label = expected.data<int32_t>();
  int64_t correct = 0;
  for (int64_t i = 0; i < labels.count(); ++i) correct += prediction[i] == label[i];
  return correct;
}

std::optional<Evaluation> evaluate(Module& net, const Dataset& dataset, int64_t batch, int workers,
                                   const std::function<bool()>& stop_requested,
                                   const std::function<void(const Tensor&, const Tensor&)>& on_batch) {
  CHECK(dataset.size() > 0, "evaluate: the data set is empty");
  const NoGrad no_grad;
  net.set_training(false);
  Loader loader(dataset, {.batch = batch, .workers = workers});
  loader.start_epoch(0);
  double loss_sum = 0;
  int64_t correct = 0;
  while (auto next = loader.next()) {
    if (stop_requested()) return std::nullopt;
    const Variable logits = net(Variable(next->images));
    const float loss = softmax_cross_entropy(logits, next->labels).value().item();
    if (!std::isfinite(loss)) {
      fail(ErrorKind::numeric, "evaluation: the loss is {}: {}", nonfinite_text(loss),
           first_nonfinite(net, next->images));
    }
    loss_sum += static_cast<double>(loss) * static_cast<double>(next->labels.size(0));
    correct += count_correct(logits.value(), next->labels);
    on_batch(logits.value(), next->labels);
  }
  const double size = static_cast<double>(dataset.size());
  return Evaluation{.loss = loss_sum / size, .accuracy = 100.0 * static_cast<double>(correct) / size};
}

}  // namespace convoy
