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

void add(const StepReport& report, double seconds, EpochSums& sums) {
  sums.loss += static_cast<double>(report.loss) * static_cast<double>(report.samples);
  sums.samples += report.samples;
  sums.correct += report.correct;
  sums.seconds = seconds;
  if (report.times) sums.times = sums.times.value_or(StepTimes{}) += *report.times;
}

EpochReport report_of(const TrainingState& state, float lr, const Evaluation& evaluation) {
  const EpochSums& epoch = state.epoch;
  const double samples = static_cast<double>(epoch.samples);
  return {.step = state.steps,
          .epoch = state.epochs,
          .lr = lr,
          .train_loss = epoch.loss / samples,
          .train_accuracy = 100.0 * static_cast<double>(epoch.correct) / samples,
          .evaluation = evaluation,
          .seconds = epoch.seconds,
          .times = epoch.times};
}

bool out_of_patience(const Settings& settings, const TrainingState& state) {
  if (settings.patience == 0 || state.in_epoch() || !state.best_epoch) return false;
  return state.epochs - *state.best_epoch >= settings.patience;
}

}  // namespace

StepCount count_steps(const Settings& settings, int64_t samples) {
  const int64_t per_epoch = (samples + settings.batch - 1) / settings.batch;
  const int64_t all = per_epoch * settings.epochs;
  return {.per_epoch = per_epoch, .total = settings.steps > 0 ? std::min(settings.steps, all) : all};
}

TrainingResult train(Module& net, const DatasetSplits& data, const Settings& settings, const TrainingEvents& events,
                     DataParallel* parallel, TrainingState state) {
  CHECK(data.train.size() > 0 && data.test.size() > 0, "train: {} training and {} test images, neither may be 0",
        data.train.size(), data.test.size());
  const auto [per_epoch, total] = count_steps(settings, data.train.size());
  const Schedule& schedule = find_schedule(settings.schedule);
  const ScheduleOptions rates = schedule_options(settings, total);
  const std::unique_ptr<Optimizer> optimizer = make_optimizer(net, settings);
  std::optional<WeightCopy> average, best;
  if (settings.ema > 0) average.emplace(net);
  if (settings.patience > 0) best.emplace(net);
  const TrainingParts parts{
      .optimizer = *optimizer, .training = average ? &*average : nullptr, .best = best ? &*best : nullptr};
  if (events.on_resume) events.on_resume(parts);
  // The network gets the averaged weights, or its own back.
  const auto exchange = [&] {
    if (!average) return;
    average->exchange();
    if (parallel != nullptr) parallel->share_buffers();
  };
  TrainingSteps steps(net, *optimizer, data.train, settings, events.stop_requested, parallel);

  bool stopped = false;
  int64_t kept = state.steps;  // after this step, in mid-epoch, there is a checkpoint already
  const auto keep = [&](CheckpointKind kind) {
    if (events.on_checkpoint && settings.checkpoint_every != 0) {
      exchange();
      events.on_checkpoint(kind, state, parts);
      exchange();
    }
    kept = state.steps;
  };
  while (!stopped && !out_of_patience(settings, state) && (state.steps < total || state.in_epoch())) {
    if (!state.in_epoch()) ++state.epochs;
    const double seconds_before = state.seconds, epoch_seconds_before = state.epoch.seconds;
    Clock::time_point start = Clock::now();
    const auto done = [&](StepReport report) {
      const double seconds = seconds_since(start);
      report.seconds = state.seconds = seconds_before + seconds;
      state.samples += report.samples;
      add(report, epoch_seconds_before + seconds, state.epoch);
      events.on_step(report);
    };
    net.set_training(true);
    steps.start_epoch(state.epochs - 1, state.steps - (state.epochs - 1) * per_epoch);
    while (state.steps < total && !stopped) {
      if (events.before_step) events.before_step();
      if (!steps.run({.step = state.steps + 1, .epoch = state.epochs, .lr = schedule.rate(rates, state.steps)}, done))
        break;
      ++state.steps;
      if (average) average->approach(1 - average_decay(settings.ema, state.steps));
      if (events.after_step) events.after_step();
      stopped = steps.stop_requested();
      if (stopped || settings.checkpoint_every <= 0 || state.steps % settings.checkpoint_every != 0) continue;
      steps.finish(done);
      const Clock::time_point begin = Clock::now();
      keep(CheckpointKind::latest);
      start += Clock::now() - begin;
    }
    steps.finish(done);
    exchange();
    const std::optional<Evaluation> evaluation =
        stopped ? std::nullopt : evaluate_after_step(net, data.test, settings, events, state.steps, parallel);
    const bool better = evaluation && (!state.best || evaluation->accuracy > state.best->accuracy);
    if (better && best) best->take();
    exchange();
    stopped = !evaluation;
    if (stopped) {
      if (kept != state.steps) keep(CheckpointKind::latest);
      break;
    }
    events.on_epoch(report_of(state, schedule.rate(rates, state.steps - 1), *evaluation));
    state.evaluation = evaluation;
    state.epoch = {};
    if (better) {
      state.best = evaluation;
      state.best_epoch = state.epochs;
      keep(CheckpointKind::best);
    }
    if (settings.checkpoint_every < 0) keep(CheckpointKind::latest);
  }
  if (!stopped && settings.checkpoint_every > 0 && state.steps % settings.checkpoint_every != 0)
    keep(CheckpointKind::latest);
  exchange();
  const bool best_is_left = best && !stopped;
  if (best_is_left) best->give();
  return {.steps = state.steps,
          .epochs = state.epochs,
          .samples = state.samples,
          .seconds = state.seconds,
          .stopped = stopped,
          .evaluation = (best_is_left ? state.best : state.evaluation).value_or(Evaluation{}),
          .best_epoch = best_is_left ? state.best_epoch : std::nullopt,
          .early = best_is_left && state.steps < total};
}

}  // namespace convoy
