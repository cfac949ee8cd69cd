// `convoy train`: settings, data, model, the loop, and what is shown and kept of it.
#include <fmt/format.h>

#include "apps/commands.h"
#include "apps/device_options.h"
#include "apps/fitting_batch.h"
#include "apps/interrupt.h"
#include "apps/layer_table.h"
#include "apps/number_text.h"
#include "apps/progress.h"
#include "apps/run_log.h"
#include "apps/trainer.h"
#include "data/places.h"
#include "layers/models.h"
#include "layers/weights.h"

namespace convoy {
namespace {

void print_how_to_get_mnist() {
  const DatasetRow& mnist = find_dataset_row("mnist");
  fmt::print("MNIST was not found: training on synthetic digits instead.\n");
  for (const std::filesystem::path& place : places_to_search({}, mnist.folder))
    fmt::print("  searched: {}\n", place.string());
  fmt::print("  To train on MNIST, put these into a folder and name it with --data or $CONVOY_DATA:\n  {}\n",
             mnist.files);
}

ImageExtent extent_of(const Dataset& dataset) {
  return {dataset.images.size(1), dataset.images.size(2), dataset.images.size(3)};
}

// Refuses what could not work or would fail in mid-training. Changes buffers of `net`.
void check_steps(Module& net, const DatasetSplits& data, const Settings& settings) {
  const int64_t size = data.train.size();
  const StepCount steps = count_steps(settings, size);
  CHECK(settings.warmup_steps < steps.total, "--warmup-steps: {} are not less than the {} steps of this training",
        settings.warmup_steps, steps.total);
  const bool single = settings.batch == 1 || (size % settings.batch == 1 && steps.total >= steps.per_epoch);
  if (!single) return;
  const ImageExtent extent = extent_of(data.train);
  const NoGrad no_grad;
  net.set_training(true);
  try {
    net(Variable(Tensor::zeros({1, extent.h, extent.w, extent.c})));
  } catch (const Error& error) {
    fail(error.kind(), "step {}: its batch has one image: {}; choose another --batch, or a --limit that leaves more",
         settings.batch == 1 ? 1 : steps.per_epoch, error.what());
  }
}

// What there is to say of the method beyond its name.
std::string method_text(const Settings& settings) {
  std::string text = fmt::format("{}, lr {} {}", settings.optimizer, settings.lr, settings.schedule);
  if (settings.warmup_steps > 0) text += fmt::format(" with {} warm-up steps", settings.warmup_steps);
  if (settings.optimizer == "sgd")
    text += fmt::format(", {}momentum {}", settings.nesterov ? "Nesterov " : "", settings.momentum);
  if (settings.weight_decay > 0) text += fmt::format(", weight decay {}", settings.weight_decay);
  if (settings.label_smoothing > 0) text += fmt::format(", label smoothing {}", settings.label_smoothing);
  return text;
}

void print_header(const Settings& settings, const DatasetSplits& data, const LayerTable& layers, const RunLog& log) {
  const ImageExtent extent = extent_of(data.train);
  fmt::print("model    {}: {} parameters, {} multiply-adds per sample\n", one_line(settings.model),
             grouped(layers.parameters), grouped(layers.multiply_adds));
  fmt::print("data     {}: {} training, {} {} images, {}x{}x{}, {} classes\n", settings.dataset,
             grouped(data.train.size()), grouped(data.test.size()), settings.evaluated(), extent.h, extent.w, extent.c,
             data.train.classes.size());
  fmt::print("machine  {}\n", machine_text(settings));
  const StepCount steps = count_steps(settings, data.train.size());
  fmt::print("method   epochs {}, steps {}, batch {}, {}, augment {}, shuffle {}, seed {}\n", steps.epochs(),
             steps.total, settings.batch, method_text(settings), settings.augment ? "on" : "off",
             settings.shuffle ? "on" : "off", settings.seed);
  fmt::print("run      {}\n", log.folder().string());
  std::fflush(stdout);
}

std::string epoch_line(const EpochReport& report, int64_t epochs, const char* evaluated) {
  return fmt::format("epoch {}/{}  train loss {:.4f}  acc {:.2f} %  {} loss {:.4f}  acc {:.2f} %  {:.1f} s",
                     report.epoch, epochs, report.train_loss, report.train_accuracy, evaluated, report.evaluation.loss,
                     report.evaluation.accuracy, report.seconds);
}

TrainingResult train_and_log(Module& net, const DatasetSplits& data, const Settings& settings,
                             const InterruptGuard& interrupt, RunLog& log) {
  const StepCount steps = count_steps(settings, data.train.size());
  Progress progress(steps);
  return train(net, data, settings,
               {.on_step =
                    [&](const StepReport& report) {
                      log.step(report);
                      progress.step(report);
                    },
                .on_epoch =
                    [&](const EpochReport& report) {
                      log.epoch(report);
                      progress.line(epoch_line(report, steps.epochs(), settings.evaluated()));
                    },
                .stop_requested = [&] { return interrupt.signal() != 0; }});
}

void print_result(const TrainingResult& result, const Settings& settings) {
  if (result.stopped) {
    fmt::print("interrupted after step {} (epoch {}): trained {:.1f} s, {:.0f} samples/s, not evaluated\n",
               result.steps, result.epochs, result.seconds, result.samples_per_second());
  } else {
    const char* const evaluated = settings.evaluated();
    fmt::print("trained {:.1f} s, {:.0f} samples/s (evaluation not counted): {} loss {:.4f}, {} accuracy {:.2f} %\n",
               result.seconds, result.samples_per_second(), evaluated, result.evaluation.loss, evaluated,
               result.evaluation.accuracy);
  }
  std::fflush(stdout);
}

}  // namespace

int run_train(const GivenOptions& given) {
  const Settings settings = resolve(given);
  set_current_stream(open_stream(settings));
  if (!settings.run.empty()) check_run_folder(settings.run);
  if (!settings.save.empty()) check_save(settings);

  DatasetSplits data = load_dataset({.name = settings.dataset,
                                     .data = settings.data,
                                     .seed = static_cast<uint64_t>(settings.seed),
                                     .holdout = settings.holdout,
                                     .limit = settings.limit});
  data.train = data.train.to(current_stream().device);
  data.test = data.test.to(current_stream().device);
  for (const std::string& warning : data.warnings) fmt::print(stderr, "convoy: warning: {}\n", warning);
  const ImageExtent extent = extent_of(data.train);
  const std::unique_ptr<Module> net =
      make_model(settings.model, extent, static_cast<int64_t>(data.train.classes.size()));
  check_steps(*net, data, settings);
  initialise(*net, static_cast<uint64_t>(settings.seed));
  if (!settings.init.empty()) load_weights(*net, settings.init);
  const LayerTable layers = tabulate(*net, extent);

  RunLog log(settings);
  if (!given.contains("--dataset") && settings.dataset == "synthetic") print_how_to_get_mnist();
  print_header(settings, data, layers, log);
  const InterruptGuard interrupt;
  try {
    const TrainingResult result = train_and_log(*net, data, settings, interrupt, log);
    print_result(result, settings);
    if (!settings.save.empty()) {
      save_weights(*net, settings.save);
      fmt::print("weights  {} (after step {})\n", settings.save.string(), result.steps);
    }
    result.stopped ? log.interrupted(result) : log.summary(result);
    return result.stopped ? 128 + interrupt.signal() : 0;
  } catch (const OutOfMemory& error) {
    const int64_t fits = fitting_batch(*net, data.train, settings);
    const OutOfMemory told(fmt::format(
        "{}; {}", error.what(),
        fits > 0 ? fmt::format("--batch {} would fit", fits) : "no batch would fit, try a smaller --model"));
    log.failed(told.what());
    throw told;
  } catch (const std::exception& error) {
    log.failed(error.what());
    throw;
  }
}

}  // namespace convoy
