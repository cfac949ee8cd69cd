#include "apps/recorded_step.h"

#include <algorithm>
#include <cstring>

namespace convoy {
namespace {

constexpr int64_t kScalars = 8;  // i32 elements; a multiple of 32 bytes, so that what follows is aligned
static_assert(sizeof(StepScalars) <= kScalars * sizeof(int32_t));

}  // namespace

RecordedStep::RecordedStep(Module& net, Optimizer& optimizer, const Loader& loader, const Settings& settings)
    : net_(net),
      optimizer_(optimizer),
      loader_(loader),
      settings_(settings),
      host_inputs_(Tensor::zeros({kScalars + 2 * settings.batch}, DType::i32, Device{})),
      inputs_(Tensor::zeros({kScalars + 2 * settings.batch}, DType::i32)),
      results_(Tensor::zeros({1 + settings.batch}, DType::i32)),
      spoilt_(Tensor::zeros({1})),
      readback_(results_.device().index, results_.bytes()) {}

void RecordedStep::record() {
  const int64_t n = settings_.batch;
  const Tensor positions = inputs_.slice(kScalars, kScalars + n),
               labels = inputs_.slice(kScalars + n, kScalars + 2 * n);
  Tensor loss_bits = results_.slice(0, 1), predictions = results_.slice(1, 1 + n);
  Stream stream = current_stream();
  stream.scalars = reinterpret_cast<const StepScalars*>(inputs_.raw());
  stream.finite = spoilt_.data<float>();
  graph_ = std::make_unique<cuda::Graph>(stream, [&] {
    optimizer_.clear_grad();
    const Variable logits = net_(Variable(loader_.gather(positions)));
    const Variable loss = softmax_cross_entropy(logits, labels, settings_.label_smoothing);
    cuda::copy(loss_bits.raw(), loss_bits.device(), loss.value().raw(), loss_bits.device(), loss.value().bytes());
    // The host sees this loss only when the next step is under way: 0 times what is not finite is NaN, and stays.
    spoilt_.copy_from(apply(Binary::add, spoilt_, scale(loss.value(), 0)));
    predictions.copy_from(argmax(logits.value()));
    loss.backward();
    optimizer_.apply({});
  });
}

std::optional<RecordedStep::Finished> RecordedStep::run(const BatchSamples& samples, const StepReport& report) {
  if (graph_ == nullptr) record();
  StepScalars scalars = optimizer_.advance(report.lr);
  scalars.step = static_cast<uint32_t>(report.step);
  scalars.epoch = samples.epoch;
  int32_t* const inputs = host_inputs_.data<int32_t>();
  std::memcpy(inputs, &scalars, sizeof scalars);
  std::copy(samples.positions.begin(), samples.positions.end(), inputs + kScalars);
  std::copy(samples.labels.begin(), samples.labels.end(), inputs + kScalars + settings_.batch);

  inputs_.copy_from(host_inputs_);
  graph_->replay(current_stream());
  std::optional<Finished> before = finish();
  readback_.start(current_stream(), results_.raw());
  pending_ = Finished{report, samples};
  return before;
}

std::optional<RecordedStep::Finished> RecordedStep::finish() {
  if (!pending_) return std::nullopt;
  const std::byte* const results = readback_.wait();
  Finished finished = std::move(*pending_);
  pending_.reset();
  StepReport& report = finished.report;
  std::memcpy(&report.loss, results, sizeof report.loss);
  report.samples = static_cast<int64_t>(finished.samples.labels.size());
  const std::byte* at = results + sizeof(int32_t);
  for (const int32_t label : finished.samples.labels) {
    int32_t prediction = 0;
    std::memcpy(&prediction, at, sizeof prediction);
    at += sizeof prediction;
    report.correct += prediction == label;
  }
  return finished;
}

}  // namespace convoy
