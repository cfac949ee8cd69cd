// `convoy train`: settings, data, model, the loop, and what is shown and kept of it.
#include <fmt/format.h>

#include <csignal>

#include "apps/broken_pipe.h"
#include "apps/checkpoint_folder.h"
#include "apps/commands.h"
#include "apps/data_request.h"
#include "apps/device_options.h"
#include "apps/dry_run.h"
#include "apps/fitting_batch.h"
#include "apps/interrupt.h"
#include "apps/job.h"
#include "apps/job_environment.h"
#include "apps/launch.h"
#include "apps/layer_table.h"
#include "apps/number_text.h"
#include "apps/profile.h"
#include "apps/profile_table.h"
#include "apps/profile_trace.h"
#include "apps/progress.h"
#include "apps/resume.h"
#include "apps/run_log.h"
#include "apps/run_plots.h"
#include "apps/saved_model.h"
#include "apps/shell_word.h"
#include "apps/trainer.h"
#include "apps/training_material.h"
#include "apps/training_text.h"
#include "layers/weights.h"
#include "parallel/agreement.h"
#include "parallel/strategy.h"
#include "parallel/trace.h"
#include "tensor/atomic_file.h"
#include "tensor/cuda/cuda.h"

namespace convoy {
namespace {

// Writes what a training goes on from: its state, and what else the run was at that moment.
void write_checkpoint(CheckpointKind kind, const TrainingState& state, const TrainingParts& parts, const Module& net,
                      const CheckpointFolder& checkpoints, RunLog& log) {
  CheckpointFacts facts = facts_of(state);
  facts["config"] = log.config();
  facts["log_bytes"] = std::to_string(log.sync());
  if (kind == CheckpointKind::best) return checkpoints.write_best(net, parts, facts);
  checkpoints.write_step(state.steps, net, parts, facts);
}

// `log` is null on ranks that keep none, `from` where the training begins, `profile` where none is taken.
TrainingEvents events(const Settings& settings, const StepCount& steps, const InterruptGuard& interrupt, Job& job,
                      const Module& net, RunLog* log, const Checkpoint* from, Progress& progress, Profile* profile) {
  TrainingEvents events{.on_step =
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
                              progress.line(epoch_line(report, steps, settings.evaluated()));
                            },
                        .stop_requested = [&interrupt] { return interrupt.signal() != 0; },
                        .on_resume = {},
                        .on_checkpoint = {}};
  if (from != nullptr) events.on_resume = [from](const TrainingParts& parts) { from->load(parts); };
  if (log != nullptr)
    events.on_checkpoint = [&settings, &net, log](CheckpointKind kind, const TrainingState& state,
                                                  const TrainingParts& parts) {
      write_checkpoint(kind, state, parts, net, CheckpointFolder(log->folder(), settings.keep), *log);
    };
  if (profile != nullptr) {
    events.before_step = [profile] { profile->begin_step(); };
    events.after_step = [profile] { profile->end_step(); };
  }
  return events;
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

// The table without its small rows. A training that was interrupted early may have none.
void print_profile(const ProfileRecord& record) {
  constexpr double kLeastShare = 0.005;
  if (record.steps.empty())
    fmt::print("profile  none: the first step is not recorded, and no other has ended\n");
  else
    fmt::print("\n{}\n", table_of(record, kLeastShare));
}

// All of it; the run is complete without. The exit code.
int write_profile(const ProfileRecord& record, const std::filesystem::path& run) {
  if (record.steps.empty()) return 0;
  try {
    write_file_atomically(run / kProfileTable, record.about + table_of(record));
    write_file_atomically(run / kProfileTrace, trace_of(record));
  } catch (const Error& error) {
    std::fflush(stdout);
    fmt::print(stderr, "convoy: {}; nothing of the training is lost\n", error.what());
    return static_cast<int>(error.kind());
  }
  fmt::print("profile  {}, {} (open it in ui.perfetto.dev)\n", (run / kProfileTable).string(),
             (run / kProfileTrace).string());
  return 0;
}

// The run is complete without them.
void print_plots(const std::filesystem::path& run) {
  const std::string none = draw_run(run);
  fmt::print("{}\n", none.empty() ? "plots    " + (run / kPlotsFolder).string() : "no pictures: " + none);
}

void print_complete(const Settings& settings) {
  const std::string run = settings.run.string();
  const bool has_weights = !CheckpointFolder(run, settings.keep).best_or_newest().empty();
  fmt::print("{}: this run is complete{}\n", run,
             has_weights ? "; to train its network further: convoy train --init " + shell_word(run) : "");
}

int train_as_rank(const Settings& settings, const GivenOptions& given, const RunConfig* resumed, Job& job) {
  job.check_same_settings(settings);
  std::optional<RunLog> log;
  Material material;
  agree(job.others(), [&] {
    if (!job.first()) return;
    check_outputs(settings);
    if (resumed != nullptr) log.emplace(*resumed);  // before any rank looks for a checkpoint: nobody writes one now
  });
  agree(job.others(), [&] {
    material = prepare(settings, resumed, job.first());
    if (job.first() && !log && !settings.dry_run)
      log.emplace(settings, RunFacts{.training_images = material.data.train.size(),
                                     .evaluated_images = material.data.test.size(),
                                     .parameters = count_of_parameters(*material.net),
                                     .input = input_of(material.data.train)});
  });
  const DatasetSplits& data = material.data;
  Module& net = *material.net;
  const Checkpoint* const from = material.from ? &*material.from : nullptr;
  if (job.others() != nullptr)
    check_same(*job.others(), {{"training images", grouped(data.train.size())},
                               {settings.evaluated() + std::string(" images"), grouped(data.test.size())},
                               {"checkpoint", from == nullptr ? "none" : from->fact("sha256")}});
  TrainingState state;
  agree(job.others(), [&] {
    if (from == nullptr) return;
    state = state_of(*from);
    if (!job.first()) return;
    log->rewind(count_of(*from, "log_bytes"));
    CheckpointFolder(log->folder(), settings.keep).remove_unfinished();
  });
  std::string header;
  if (job.first()) {
    if (resumed == nullptr && !given.contains("--dataset") && settings.dataset == "synthetic") print_how_to_get_mnist();
    header = header_text(settings, data, tabulate(net, extent_of(data.train)));
    print_header(header, log ? log->folder().string() : "", from);
  }
  const InterruptGuard interrupt(job.joined_by_mpi());
  try {
    const auto trace =
        settings.trace.empty() || settings.dry_run ? nullptr : std::make_unique<Trace>(job.layout(), job.others());
    const std::unique_ptr<DataParallel> parallel = make_parallel(settings, material, job, trace.get());
    const StepCount steps = count_steps(settings, data.train.size());
    if (settings.dry_run) return dry_run(net, data, settings, parallel.get(), interrupt, job.first());
    std::optional<Profile> profile;
    if (settings.profile) profile.emplace(net);
    std::optional<Progress> progress(steps);
    const TrainingResult result = train(net, data, settings,
                                        events(settings, steps, interrupt, job, net, log ? &*log : nullptr, from,
                                               *progress, profile ? &*profile : nullptr),
                                        parallel.get(), state);
    progress.reset();
    // The signal may have come to another rank.
    int exit_code = result.stopped ? 128 + (interrupt.signal() != 0 ? interrupt.signal() : SIGINT) : 0;
    const std::string trace_text = trace == nullptr ? "" : trace->json(job.others());
    if (!job.first()) return exit_code;
    ProfileRecord profiled;
    if (profile) {
      profiled = profile->finish(header);
      print_profile(profiled);
    }
    print_result(result, settings, log->folder());
    if (!settings.save.empty()) {
      save_weights(net, settings.save);
      const std::string when = result.best_epoch ? fmt::format("of epoch {}", *result.best_epoch)
                                                 : fmt::format("after step {}", result.steps);
      fmt::print("weights  {} ({})\n", settings.save.string(), when);
    }
    if (trace != nullptr) {
      write_file_atomically(settings.trace, trace_text);
      fmt::print("trace    {} (open it in ui.perfetto.dev)\n", settings.trace.string());
    }
    result.stopped ? log->interrupted(result) : log->summary(result);
    if (settings.plots) print_plots(log->folder());
    if (const int failed = write_profile(profiled, log->folder()); failed != 0 && exit_code == 0) exit_code = failed;
    return exit_code;
  } catch (const OutOfMemory& error) {
    const OutOfMemory told(fmt::format("{}; {}", error.what(), what_would_fit(net, data.train, settings)));
    if (log) log->failed(told.what());
    throw told;
  } catch (const std::exception& error) {
    if (log) log->failed(error.what());
    throw;
  }
}

}  // namespace

int run_train(const GivenOptions& typed) {
  if (!typed.contains("--dry-run")) survive_broken_pipes();  // what that one says is all it does
  std::optional<RunConfig> resumed;
  if (typed.contains("--resume")) resumed = config_to_resume(typed);
  const GivenOptions given = with_settings_of_init(typed);
  const Settings settings = resumed ? resumed->settings : resolve(given);
  if (resumed && is_complete(settings.run)) {
    CHECK(!given.contains("--save"),
          "--save: {0} is complete and writes nothing more; convoy export {0} --output {1} writes its best weights",
          shell_word(settings.run.string()), shell_word(given.at("--save")));
    if (started_rank() == 0) print_complete(settings);
    return 0;
  }
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
  return job.run([&] { return train_as_rank(settings, given, resumed ? &*resumed : nullptr, job); });
}

}  // namespace convoy
