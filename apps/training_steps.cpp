#include "apps/training_steps.h"

#include <cmath>

#include "apps/evaluation.h"
#include "apps/nonfinite.h"
#include "apps/number_text.h"
#include "apps/parallel_steps.h"
#include "tensor/error.h"

namespace convoy {
namespace {

LoaderOptions loader_options(const Settings& settings, const DataParallel* parallel) {
  const DatasetRow& row = find_dataset_row(settings.dataset);
  return {.batch = settings.batch,
          .shuffle = settings.shuffle,
          .crop_pad = settings.augment ? row.crop_pad : 0,
          .flip = settings.augment && row.flip,
          .seed = static_cast<uint64_t>(settings.seed),
          .workers = settings.workers,
          .micro_batches = settings.accumulate,
          .rank = parallel == nullptr ? 0 : parallel->layout().rank,
          .ranks = parallel == nullptr ? 1 : parallel->layout().ranks};
}

}  // namespace

TrainingSteps::TrainingSteps(Module& net, Optimizer& optimizer, const Dataset& images, const Settings& settings,
                             std::function<bool()> stop_requested, DataParallel* parallel)
    : net_(net),
      optimizer_(optimizer),
      settings_(settings),
      stop_requested_(std::move(stop_requested)),
      parallel_(parallel),
      loader_(images, loader_options(settings, parallel)) {
  if (parallel == nullptr && settings.graph && images.images.device().kind == Device::Kind::cuda)
    recorded_ = std::make_unique<RecordedStep>(net, optimizer, loader_, settings);
}

void TrainingSteps::start_epoch(int64_t epoch, int64_t first_batch) { loader_.start_epoch(epoch, first_batch); }

bool TrainingSteps::run(StepReport report, const Done& done) {
  set_step_randomness(report);
  if (parallel_ != nullptr) {
    const std::optional<ParallelStepReport> step =
        step_in_parallel(*parallel_, optimizer_, loader_, settings_, report, stop_requested_);
    if (!step) return false;
    agreed_to_stop_ = step->stop;
    done(step->report);
    return true;
  }
  if (recorded_ == nullptr) {
    const std::optional<Batch> batch = loader_.next();
    if (!batch) return false;
    run_now(*batch, report);
    done(report);
    return true;
  }
  const std::optional<BatchSamples> samples = loader_.next_samples();
  if (!samples) return false;
  // The first step, also of a resumed training, takes the memory that gradients live in from then on; the last batch of
  // an epoch may be smaller.
  if (updated_ && static_cast<int64_t>(samples->labels.size()) == settings_.batch) {
    hand_over(recorded_->run(*samples, report), done);
  } else {
    finish(done);
    run_now(loader_.gather(*samples), report);
    done(report);
  }
  return true;
}

bool TrainingSteps::stop_requested() const { return parallel_ != nullptr ? agreed_to_stop_ : stop_requested_(); }

void TrainingSteps::finish(const Done& done) {
  if (recorded_ != nullptr) hand_over(recorded_->finish(), done);
}

void TrainingSteps::set_step_randomness(const StepReport& report) {
  step_randomness() = {
      .seed = static_cast<uint64_t>(settings_.seed), .step = static_cast<uint32_t>(report.step), .first_sample = 0};
}

void TrainingSteps::run_now(const Batch& batch, StepReport& report) {
  optimizer_.clear_grad();
  const Variable logits = net_(Variable(batch.images));
  const Variable loss = softmax_cross_entropy(logits, batch.labels, settings_.label_smoothing);
  report.loss = loss.value().item();
  report.samples = batch.labels.size(0);
  report.correct = count_correct(logits.value(), batch.labels);
  check_finite(report, batch.images);
  optimizer_.minimize(loss, report.lr);
  updated_ = true;
}

void TrainingSteps::hand_over(std::optional<RecordedStep::Finished> finished, const Done& done) {
  if (!finished) return;
  if (!std::isfinite(finished->report.loss)) {
    set_step_randomness(finished->report);
    check_finite(finished->report, loader_.gather(finished->samples).images);
  }
  done(finished->report);
}

void TrainingSteps::check_finite(const StepReport& report, const Tensor& images) {
  if (std::isfinite(report.loss)) return;
  fail(ErrorKind::numeric, "step {} (epoch {}): the loss is {}: {}; {}", report.step, report.epoch,
       nonfinite_text(report.loss), first_nonfinite(net_, images), cure_of_nonfinite(settings_, report.step));
}

}  // namespace convoy
