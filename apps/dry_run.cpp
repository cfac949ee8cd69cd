#include "apps/dry_run.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <csignal>

#include "apps/number_text.h"
#include "apps/profile.h"
#include "apps/run_folder.h"
#include "apps/run_plots.h"
#include "apps/trainer.h"
#include "layers/weights.h"
#include "tensor/counted.h"
#include "tensor/memory_pool.h"
#include "tensor/seconds_since.h"

namespace convoy {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kSteps = 6;  // a moment's work for any network that trains in bearable time
constexpr int64_t kFirst = 2;  // of these, which take memory, and on a GPU record: not in the time of a step

struct Tried {
  int64_t steps = 0;
  double first_seconds = 0, rest_seconds = 0;
  double evaluation_seconds = 0;  // of one batch
  int64_t weight_bytes = 0, checkpoint_bytes = 0;
  bool stopped = false;

  double seconds_per_step() const {
    return steps > kFirst ? rest_seconds / static_cast<double>(steps - kFirst)
                          : first_seconds / static_cast<double>(steps);
  }
};

int64_t bytes_of(const std::vector<NamedVariable>& weights) {
  int64_t bytes = 0;
  for (const NamedVariable& entry : weights) bytes += entry.variable.value().bytes();
  return bytes;
}

int64_t bytes_of_checkpoint(int64_t weight_bytes, const TrainingParts& parts) {
  int64_t bytes = weight_bytes * (1 + (parts.training != nullptr) + (parts.best != nullptr));
  for (const NamedTensor& entry : parts.optimizer.state()) bytes += entry.tensor.bytes();
  return bytes;
}

Tried try_out(Module& net, const DatasetSplits& data, Settings settings, DataParallel* parallel,
              const InterruptGuard& interrupt) {
  const int64_t images = std::min(settings.batch, data.test.size());
  const DatasetSplits part{.train = data.train, .test = data.test.slice(0, images), .warnings = {}};
  settings.steps = std::min(kSteps, count_steps(settings, data.train.size()).total);
  settings.checkpoint_every = -1;  // which hands over what would be in one
  Tried tried;
  tried.weight_bytes = bytes_of(weights_of(net));
  Clock::time_point last_step = Clock::now();
  const auto on_step = [&](const StepReport& report) {
    tried.steps = report.step;
    (report.step <= kFirst ? tried.first_seconds : tried.rest_seconds) =
        report.seconds - (report.step <= kFirst ? 0 : tried.first_seconds);
    last_step = Clock::now();
  };
  const TrainingResult result =
      train(net, part, settings,
            {.on_step = on_step,
             .on_epoch = [&](const EpochReport&) { tried.evaluation_seconds = seconds_since(last_step); },
             .stop_requested = [&] { return interrupt.signal() != 0; },
             .on_resume = {},
             .on_checkpoint =
                 [&](CheckpointKind, const TrainingState&, const TrainingParts& parts) {
                   tried.checkpoint_bytes = bytes_of_checkpoint(tried.weight_bytes, parts);
                 }},
            parallel);
  tried.stopped = result.stopped;
  return tried;
}

std::string mebibytes(int64_t bytes) { return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20)); }

std::string duration(double seconds) {
  if (seconds < 1) return fmt::format("{:.3g} ms", 1000 * seconds);
  return seconds < 100 ? fmt::format("{:.3g} s", seconds) : clock_text(seconds);
}

void print_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const Device device = current_stream().device;
  const PoolStatistics pool = pool_statistics(device);
  fmt::print("memory   tensors {} at most on {}, {} taken for them; the process {} at most\n",
             mebibytes(pool.peak_bytes_in_use), device.text(), mebibytes(pool.bytes_from_system),
             mebibytes(int64_t{usage.ru_maxrss} * 1024));
}

void print_time(const Tried& tried, const Settings& settings, const DatasetSplits& data) {
  const StepCount steps = count_steps(settings, data.train.size());
  const double evaluation = seconds_of_evaluation(tried.evaluation_seconds, settings.batch, data.test.size());
  const double epoch = tried.seconds_per_step() * static_cast<double>(std::min(steps.per_epoch, steps.total));
  const double total =
      tried.seconds_per_step() * static_cast<double>(steps.total) + evaluation * static_cast<double>(steps.epochs());
  const int64_t measured = tried.steps > kFirst ? tried.steps - kFirst : tried.steps;
  fmt::print("time     {} per step, over {}{}\n", duration(tried.seconds_per_step()), counted(measured, "step"),
             tried.steps > kFirst ? fmt::format(" after the first {}", kFirst) : "");
  fmt::print("         about {} per epoch of {} and {} for its evaluation\n", duration(epoch),
             counted(std::min(steps.per_epoch, steps.total), "step"), duration(evaluation));
  fmt::print("         about {} in all: {} in {}{}\n", duration(total), counted(steps.total, "step"),
             counted(steps.epochs(), "epoch"), settings.patience > 0 ? ", less when patience runs out" : "");
}

void print_files(const Tried& tried, const Settings& settings) {
  const std::string run = settings.run.empty() ? fmt::format("runs/{}-{}-<time>", model_label(settings.model),
                                                             dataset_label(settings.dataset))
                                               : settings.run.string();
  fmt::print("files    {}/config.json, metrics.jsonl and its copies: metrics.csv, steps.csv, events.out.tfevents…\n",
             run);
  if (settings.plots) fmt::print("         {}/{}: pictures of the curves\n", run, kPlotsFolder);
  if (settings.profile) fmt::print("         {}/{} and {}\n", run, kProfileTable, kProfileTrace);
  if (settings.checkpoint_every != 0)
    fmt::print("         {}/checkpoints: the newest {} and the best, {} each\n", run, settings.keep,
               mebibytes(tried.checkpoint_bytes));
  if (!settings.save.empty()) fmt::print("         {}, {}\n", settings.save.string(), mebibytes(tried.weight_bytes));
  if (!settings.trace.empty()) fmt::print("         {}\n", settings.trace.string());
}

}  // namespace

double seconds_of_evaluation(double of_first_batch, int64_t batch, int64_t images) {
  return of_first_batch * static_cast<double>(images) / static_cast<double>(std::min(batch, images));
}

int dry_run(Module& net, const DatasetSplits& data, const Settings& settings, DataParallel* parallel,
            const InterruptGuard& interrupt, bool tells) {
  const Tried tried = try_out(net, data, settings, parallel, interrupt);
  if (tried.stopped) return 128 + (interrupt.signal() != 0 ? interrupt.signal() : SIGINT);
  if (!tells) return 0;
  print_memory();
  print_time(tried, settings, data);
  print_files(tried, settings);
  fmt::print("dry run: nothing was written\n");
  return 0;
}

}  // namespace convoy
