#include "apps/training_text.h"

#include <fmt/format.h>

#include <cstdio>

#include "apps/device_options.h"
#include "apps/help_text.h"
#include "apps/number_text.h"
#include "apps/shell_word.h"
#include "data/places.h"
#include "layers/models.h"
#include "parallel/strategy.h"
#include "tensor/counted.h"

namespace convoy {
namespace {

// What there is to say of the method beyond its name.
std::string method_text(const Settings& settings) {
  std::string text = fmt::format("{}, lr {} {}", settings.optimizer, settings.lr, settings.schedule);
  if (settings.warmup_steps > 0) text += fmt::format(" with {} warm-up steps", settings.warmup_steps);
  if (settings.optimizer == "sgd")
    text += fmt::format(", {}momentum {}", settings.nesterov ? "Nesterov " : "", settings.momentum);
  if (settings.weight_decay > 0) text += fmt::format(", weight decay {}", settings.weight_decay);
  if (settings.clip_norm > 0) text += fmt::format(", gradients clipped to norm {}", settings.clip_norm);
  if (settings.ema > 0) text += fmt::format(", weights averaged with decay {}", settings.ema);
  if (settings.label_smoothing > 0) text += fmt::format(", label smoothing {}", settings.label_smoothing);
  return text;
}

// "ddp: 2 ranks, tree over 8 shards, buckets of 1 MiB".
std::string parallel_text(const Settings& settings) {
  const StrategyRow& strategy = find_strategy(settings.strategy);
  std::vector<std::string> parts;
  if (strategy.ranks) parts.push_back(counted(settings.ranks, "rank"));
  if (strategy.replicas) parts.push_back(counted(settings.replicas, "replica") + (strategy.ranks ? " each" : ""));
  if (settings.ranks > 1 || find_reduce(settings.reduce).fixed_shards)
    parts.push_back(fmt::format("{} over {}", settings.reduce, counted(settings.shards, "shard")));
  if (settings.ranks > 1) parts.push_back(fmt::format("buckets of {} MiB", settings.bucket_mb));
  if (settings.accumulate > 1) parts.push_back(fmt::format("{} micro-batches", settings.accumulate));
  return fmt::format("{}: {}", settings.strategy, fmt::join(parts, ", "));
}

}  // namespace

void print_how_to_get_mnist() {
  const DatasetRow& mnist = find_dataset_row("mnist");
  fmt::print("MNIST was not found: training on synthetic digits instead.\n");
  for (const std::filesystem::path& place : places_to_search({}, mnist.folder))
    fmt::print("  searched: {}\n", place.string());
  fmt::print("{}",
             wrapped_on_terminal(fmt::format("  To train on MNIST, download it with `convoy data fetch mnist`; or put "
                                             "these into a folder and name it with --data or $CONVOY_DATA: {}\n",
                                             mnist.files)));
}

std::string header_text(const Settings& settings, const DatasetSplits& data, const LayerTable& layers) {
  const Tensor& images = data.train.images;
  const bool fewer = data.train.size() < settings.limit;
  const StepCount steps = count_steps(settings, data.train.size());
  std::string text = fmt::format("model    {}: {} parameters, {} multiply-adds per sample\n", one_line(settings.model),
                                 grouped(layers.parameters), grouped(layers.multiply_adds)) +
                     fmt::format("data     {}: {} training{}, {} {} images, {}x{}x{}, {} classes\n", settings.dataset,
                                 grouped(data.train.size()), fewer ? " (all there are, less than --limit)" : "",
                                 grouped(data.test.size()), settings.evaluated(), images.size(1), images.size(2),
                                 images.size(3), data.train.classes.size()) +
                     fmt::format("machine  {}\n", machine_text(settings)) +
                     fmt::format("method   epochs {}, steps {}, batch {}, {}, augment {}, shuffle {}, seed {}\n",
                                 steps.epochs(), steps.total, settings.batch, method_text(settings),
                                 settings.augment ? "on" : "off", settings.shuffle ? "on" : "off", settings.seed);
  if (settings.parallel()) text += fmt::format("parallel {}\n", parallel_text(settings));
  return text;
}

void print_header(const std::string& header, const std::string& run, const Checkpoint* from) {
  fmt::print("{}", wrapped_on_terminal(header));
  if (!run.empty()) fmt::print("run      {}\n", run);
  if (from != nullptr) fmt::print("resumed  {}\n", from->path.string());
  std::fflush(stdout);
}

std::string epoch_line(const EpochReport& report, const StepCount& steps, const char* evaluated) {
  const int64_t cut = report.step % steps.per_epoch;
  const std::string part = cut == 0 ? "" : fmt::format(" ({} of {} steps)", cut, steps.per_epoch);
  return fmt::format("epoch {}/{}{}  train loss {:.4f}  acc {:.2f} %  {} loss {:.4f}  acc {:.2f} %  {:.1f} s",
                     report.epoch, steps.epochs(), part, report.train_loss, report.train_accuracy, evaluated,
                     report.evaluation.loss, report.evaluation.accuracy, report.seconds);
}

void print_result(const TrainingResult& result, const Settings& settings, const std::filesystem::path& run) {
  if (result.stopped) {
    fmt::print("interrupted after step {} (epoch {}): trained {:.1f} s, {:.0f} samples/s, not evaluated\n",
               result.steps, result.epochs, result.seconds, result.samples_per_second());
    if (settings.checkpoint_every != 0) fmt::print("resume with: convoy train --resume {}\n", shell_word(run.string()));
  } else {
    const char* const evaluated = settings.evaluated();
    if (result.early)
      fmt::print("stopped early, after epoch {}: {} without a higher {} accuracy\n", result.epochs,
                 counted(settings.patience, "epoch"), evaluated);
    if (result.best_epoch) fmt::print("restored the weights of epoch {}, the best one\n", *result.best_epoch);
    fmt::print(
        "{}", wrapped_on_terminal(fmt::format(
                  "trained {:.1f} s, {:.0f} samples/s (evaluation not counted): {} loss {:.4f}, {} accuracy {:.2f} %\n",
                  result.seconds, result.samples_per_second(), evaluated, result.evaluation.loss, evaluated,
                  result.evaluation.accuracy)));
  }
  std::fflush(stdout);
}

}  // namespace convoy
