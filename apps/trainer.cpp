#include "apps/trainer.h"

#include <algorithm>
#include <chrono>

#include "apps/optimizers.h"
#include "apps/parallel_steps.h"
#include "apps/training_steps.h"
#include "autograd/schedule.h"
#include "parallel/agreement.h"
#include "tensor/error.h"
#include "tensor/seconds_since.h"

namespace convoy {
namespace {

using Clock = std::chrono::steady_clock;

ScheduleOptions schedule_options(const Settings& settings, int64_t total) {
  return {.lr = settings.lr,
          .total_steps = total,
          .warmup_steps = settings.warmup_steps,
          .step_every = settings.step_every > 0 ? settings.step_every : std::max<int64_t>(1, (total + 2) / 3),
          .step_factor = settings.step_factor};
}

std::vector<Variable> trainable(const Module& net) {
  std::vector<Variable> variables;
  for (const NamedVariable& parameter : net.parameters()) variables.push_back(parameter.variable);
  return variables;
}

// The evaluation after an epoch; when its loss is not finite, the update of the last step is to blame.
std::optional<Evaluation> evaluate_after_step(Module& net, const Dataset& dataset, const Settings& settings,
                                              const TrainingEvents& events, int64_t step, DataParallel* parallel) {
  try {
    if (parallel != nullptr)
      return evaluate_in_parallel(*parallel, dataset, settings.batch, settings.workers, events.stop_requested);
    return evaluate(net, dataset, settings.batch, settings.workers, events.stop_requested);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::numeric) throw;
    const std::string message = fmt::format("after step {}: {}; try a --lr below {}", step, error.what(), settings.lr);
    if (parallel != nullptr) throw AgreedError(ErrorKind::numeric, message);
    throw Error(ErrorKind::numeric, message);
  }
}

}  // namespace

StepCount count_steps(const Settings& settings, int64_t samples) {
  const int64_t per_epoch = (samples + settings.batch - 1) / settings.batch;
  const int64_t all = per_epoch * settings.epochs;
  return {.per_epoch = per_epoch, .total = settings.steps > 0 ? std::min(settings.steps, all) : all};
}

TrainingResult train(Module& net, const DatasetSplits& data, const Settings& settings, const TrainingEvents& events,
                     DataParallel* parallel) {
  CHECK(data.train.size() > 0 && data.test.size() > 0, "train: {} training and {} test images, neither may be 0",
        data.train.size(), data.test.size());
  const int64_t total = count_steps(settings, data.train.size()).total;
  const Schedule& schedule = find_schedule(settings.schedule);
  const ScheduleOptions rates = schedule_options(settings, total);
  const std::unique_ptr<Optimizer> optimizer = find_optimizer(settings.optimizer).make(trainable(net), settings);
  TrainingSteps steps(net, *optimizer, data.train, settings, events.stop_requested, parallel);

  TrainingResult result;
  while (result.steps < total) {
    const Clock::time_point start = Clock::now();
    const double seconds_before = result.seconds;
    double loss_sum = 0;
    int64_t samples = 0, correct = 0;
    std::optional<StepTimes> times;
    ++result.epochs;
    const auto done = [&](StepReport report) {
      report.seconds = result.seconds = seconds_before + seconds_since(start);
      result.samples += report.samples;
      samples += report.samples;
      correct += report.correct;
      if (report.times) times = times.value_or(StepTimes{}) += *report.times;
      loss_sum += static_cast<double>(report.loss) * static_cast<double>(report.samples);
      events.on_step(report);
    };
    net.set_training(true);
    steps.start_epoch(result.epochs - 1);
    while (result.steps < total && !result.stopped) {
      const StepReport report{
          .step = result.steps + 1, .epoch = result.epochs, .lr = schedule.rate(rates, result.steps)};
      if (!steps.run(report, done)) break;
      ++result.steps;
      result.stopped = steps.stop_requested();
    }
    steps.finish(done);
    if (result.stopped) return result;
    const std::optional<Evaluation> evaluation =
        evaluate_after_step(net, data.test, settings, events, result.steps, parallel);
    result.stopped = !evaluation;
    if (result.stopped) return result;
    result.evaluation = *evaluation;
    events.on_epoch({.step = result.steps,
                     .epoch = result.epochs,
                     .train_loss = loss_sum / static_cast<double>(samples),
                     .train_accuracy = 100.0 * static_cast<double>(correct) / static_cast<double>(samples),
                     .evaluation = *evaluation,
                     .seconds = result.seconds - seconds_before,
                     .times = times});
  }
  return result;
}

}  // namespace convoy
