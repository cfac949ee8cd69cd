// `convoy train`: settings, data, model, the loop, and what is shown and kept of it.
#include <fmt/format.h>

#include <csignal>

#include "apps/commands.h"
#include "apps/device_options.h"
#include "apps/fitting_batch.h"
#include "apps/interrupt.h"
#include "apps/job.h"
#include "apps/job_environment.h"
#include "apps/launch.h"
#include "apps/layer_table.h"
#include "apps/number_text.h"
#include "apps/progress.h"
#include "apps/run_log.h"
#include "apps/trainer.h"
#include "data/places.h"
#include "layers/models.h"
#include "layers/weights.h"
#include "parallel/agreement.h"
#include "parallel/strategy.h"
#include "parallel/trace.h"
#include "tensor/atomic_file.h"
#include "tensor/counted.h"
#include "tensor/cuda/cuda.h"

namespace convoy {
namespace {

void print_how_to_get_mnist() {
  const DatasetRow& mnist = find_dataset_row("mnist");
  fmt::print("MNIST was not found: training on synthetic digits instead.\n");
  for (const std::filesystem::path& place : places_to_search({}, mnist.folder))
    fmt::print("  searched: {}\n", place.string());
  fmt::print(
      "  To train on MNIST, download it with `convoy data fetch mnist`; or put these into a folder and name it with\n"
      "  --data or $CONVOY_DATA: {}\n",
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
  CHECK(settings.trace.empty() || steps.total >= Trace::kFirstStep,
        "--trace: records steps {} to {}, this training has {}", Trace::kFirstStep, Trace::kLastStep, steps.total);
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

void print_header(const Settings& settings, const DatasetSplits& data, const LayerTable& layers, const RunLog& log) {
  const ImageExtent extent = extent_of(data.train);
  fmt::print("model    {}: {} parameters, {} multiply-adds per sample\n", one_line(settings.model),
             grouped(layers.parameters), grouped(layers.multiply_adds));
  const bool fewer = data.train.size() < settings.limit;
  fmt::print("data     {}: {} training{}, {} {} images, {}x{}x{}, {} classes\n", settings.dataset,
             grouped(data.train.size()), fewer ? " (all there are, less than --limit)" : "", grouped(data.test.size()),
             settings.evaluated(), extent.h, extent.w, extent.c, data.train.classes.size());
  fmt::print("machine  {}\n", machine_text(settings));
  const StepCount steps = count_steps(settings, data.train.size());
  fmt::print("method   epochs {}, steps {}, batch {}, {}, augment {}, shuffle {}, seed {}\n", steps.epochs(),
             steps.total, settings.batch, method_text(settings), settings.augment ? "on" : "off",
             settings.shuffle ? "on" : "off", settings.seed);
  if (settings.parallel()) fmt::print("parallel {}\n", parallel_text(settings));
  fmt::print("run      {}\n", log.folder().string());
  std::fflush(stdout);
}

std::string epoch_line(const EpochReport& report, int64_t epochs, const char* evaluated) {
  return fmt::format("epoch {}/{}  train loss {:.4f}  acc {:.2f} %  {} loss {:.4f}  acc {:.2f} %  {:.1f} s",
                     report.epoch, epochs, report.train_loss, report.train_accuracy, evaluated, report.evaluation.loss,
                     report.evaluation.accuracy, report.seconds);
}

// `log` is null on ranks that keep none.
TrainingEvents events(const Settings& settings, const StepCount& steps, const InterruptGuard& interrupt, Job& job,
                      RunLog* log, Progress& progress) {
  return {.on_step =
              [&job, log, &progress](const StepReport& report) {
                job.note_step(report.step);
                if (log == nullptr) return;
                log->step(report);
                progress.step(report);
              },
          .on_epoch =
              [&settings, steps, log, &progress](const EpochReport& report) {
                if (log == nullptr) return;
                log->epoch(report);
                progress.line(epoch_line(report, steps.epochs(), settings.evaluated()));
              },
          .stop_requested = [&interrupt] { return interrupt.signal() != 0; }};
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

// What a training works on, the same on every rank.
struct Material {
  DatasetSplits data;
  std::unique_ptr<Module> net;
};

std::unique_ptr<Module> make_net(const Settings& settings, const Dataset& dataset) {
  return make_model(settings.model, extent_of(dataset), static_cast<int64_t>(dataset.classes.size()));
}

Material prepare(const Settings& settings, bool tell_warnings) {
  Material material{.data = load_dataset({.name = settings.dataset,
                                          .data = settings.data,
                                          .seed = static_cast<uint64_t>(settings.seed),
                                          .holdout = settings.holdout,
                                          .limit = settings.limit}),
                    .net = nullptr};
  DatasetSplits& data = material.data;
  data.train = data.train.to(current_stream().device);
  data.test = data.test.to(current_stream().device);
  for (const std::string& warning : data.warnings) {
    if (tell_warnings) fmt::print(stderr, "convoy: warning: {}\n", warning);
  }
  material.net = make_net(settings, data.train);
  check_steps(*material.net, data, settings);
  initialise(*material.net, static_cast<uint64_t>(settings.seed));
  if (!settings.init.empty()) load_weights(*material.net, settings.init);
  return material;
}

std::unique_ptr<DataParallel> make_parallel(const Settings& settings, const Material& material, Job& job,
                                            Trace* trace) {
  if (!settings.parallel()) return nullptr;
  return std::make_unique<DataParallel>(
      *material.net, [&settings, &material] { return make_net(settings, material.data.train); },
      DataParallelOptions{.layout = job.layout(),
                          .streams = replica_streams(settings),
                          .bucket_bytes = static_cast<int64_t>(settings.bucket_mb * (1 << 20)),
                          .trace = trace},
      job.others());
}

int train_as_rank(const Settings& settings, const GivenOptions& given, Job& job) {
  job.check_same_settings(settings);
  std::optional<RunLog> log;
  Material material;
  agree(job.others(), [&] {
    if (job.first()) check_outputs(settings);
    material = prepare(settings, job.first());
    if (job.first()) log.emplace(settings, material.data.train.size(), material.data.test.size());
  });
  const DatasetSplits& data = material.data;
  Module& net = *material.net;
  if (job.others() != nullptr)
    check_same(*job.others(), {{"training images", grouped(data.train.size())},
                               {settings.evaluated() + std::string(" images"), grouped(data.test.size())}});
  if (job.first()) {
    if (!given.contains("--dataset") && settings.dataset == "synthetic") print_how_to_get_mnist();
    print_header(settings, data, tabulate(net, extent_of(data.train)), *log);
  }
  const InterruptGuard interrupt(job.joined_by_mpi());
  try {
    const auto trace = settings.trace.empty() ? nullptr : std::make_unique<Trace>(job.layout(), job.others());
    const std::unique_ptr<DataParallel> parallel = make_parallel(settings, material, job, trace.get());
    const StepCount steps = count_steps(settings, data.train.size());
    std::optional<Progress> progress(steps);
    const TrainingResult result = train(
        net, data, settings, events(settings, steps, interrupt, job, log ? &*log : nullptr, *progress), parallel.get());
    progress.reset();
    // The signal may have come to another rank.
    const int exit_code = result.stopped ? 128 + (interrupt.signal() != 0 ? interrupt.signal() : SIGINT) : 0;
    const std::string trace_text = trace == nullptr ? "" : trace->json(job.others());
    if (!job.first()) return exit_code;
    print_result(result, settings);
    if (!settings.save.empty()) {
      save_weights(net, settings.save);
      fmt::print("weights  {} (after step {})\n", settings.save.string(), result.steps);
    }
    if (trace != nullptr) {
      write_file_atomically(settings.trace, trace_text);
      fmt::print("trace    {} (open it in ui.perfetto.dev)\n", settings.trace.string());
    }
    result.stopped ? log->interrupted(result) : log->summary(result);
    return exit_code;
  } catch (const OutOfMemory& error) {
    if (settings.parallel()) {
      if (log) log->failed(error.what());
      throw;
    }
    const int64_t fits = fitting_batch(net, data.train, settings);
    const OutOfMemory told(fmt::format(
        "{}; {}", error.what(),
        fits > 0 ? fmt::format("--batch {} would fit", fits) : "no batch would fit, try a smaller --model"));
    log->failed(told.what());
    throw told;
  } catch (const std::exception& error) {
    if (log) log->failed(error.what());
    throw;
  }
}

}  // namespace

int run_train(const GivenOptions& given) {
  const Settings settings = resolve(given);
  CHECK(settings.ranks == 1 || meeting_point() || mpi::built(),
        "--strategy {}: {}; or start each rank yourself, with RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT",
        settings.strategy, mpi::library());
  CHECK(settings.ranks == 1 || !on_gpu(settings) || nccl::built(), "--strategy {}: {}", settings.strategy,
        nccl::library());
  if (settings.ranks > 1 && started_by().empty()) {
    if (on_gpu(settings) && !cuda::unavailable().empty()) open_stream(settings);  // which tells
    check_outputs(settings);                                                      // before any rank is started
    return launch_ranks("train", given, settings);
  }
  set_current_stream(open_stream(settings));
  Job job(settings);
  return job.run([&] { return train_as_rank(settings, given, job); });
}

}  // namespace convoy
