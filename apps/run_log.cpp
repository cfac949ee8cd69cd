#include "apps/run_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "apps/checkpoint_folder.h"
#include "apps/log_line.h"
#include "apps/profile.h"
#include "apps/run_folder.h"
#include "apps/run_plots.h"
#include "apps/run_record.h"
#include "apps/shell_word.h"
#include "tensor/atomic_file.h"
#include "tensor/error.h"
#include "tensor/safetensors.h"
#include "tensor/whole_file.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

// Throws Error(io) unless a file can be written at `path`.
void check_writable(const fs::path& path) {
  const std::string probe = fmt::format("{}.probe-{}", path.string(), getpid());
  const int file = open(probe.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (file < 0) fail(ErrorKind::io, "{}: cannot be written: {}", path.string(), std::strerror(errno));
  close(file);
  unlink(probe.c_str());
}

// More members of an object.
std::string times_text(const std::optional<StepTimes>& times) {
  if (!times) return "";
  return fmt::format(
      R"(,"copy_seconds":{},"compute_seconds":{},"exchange_seconds":{},"reduce_seconds":{},"communicate_seconds":{},)"
      R"("update_seconds":{})",
      times->copy, times->compute, times->exchange, times->reduce, times->communicate, times->update);
}

// Absolute, without links and dots as far as it exists: equal for two spellings of one place.
fs::path resolved(const fs::path& path) {
  std::error_code ignored;
  return fs::weakly_canonical(fs::absolute(path, ignored), ignored);
}

// check_run_folder(), which also names the way to go on with a run that is there.
void check_new_run(const fs::path& folder) {
  if (is_run_folder(folder) && !CheckpointFolder(folder, 1).best_or_newest().empty())
    fail(ErrorKind::io,
         "--run {}: holds a run already, which is never overwritten; name a new folder, or go on with that run: convoy "
         "train --resume {}",
         folder.string(), shell_word(folder.string()));
  check_run_folder(folder);
}

// Unless the file that `option` names can be written; it may lie in the folder that this run will create.
void check_output(const char* option, const fs::path& path, const Settings& settings) {
  std::error_code error;
  if (!path.has_filename())
    fail(ErrorKind::io, "{} {}: is a folder, the name of a file in it is wanted", option, path.string());
  if (fs::is_directory(path, error)) fail(ErrorKind::io, "{} {}: is a folder", option, path.string());
  if (fs::exists(path, error) && !fs::is_regular_file(path, error))
    fail(ErrorKind::io, "{} {}: cannot be replaced, it is not an ordinary file", option, path.string());
  if (!settings.run.empty()) {
    const fs::path file = resolved(path);
    fs::path run_folder = resolved(settings.run);
    if (!run_folder.has_filename()) run_folder = run_folder.parent_path();  // typed as "run/"
    if (file == run_folder) fail(ErrorKind::io, "{} {}: is the folder of --run", option, path.string());
    if (file.parent_path() == run_folder) {
      const std::string name = path.filename().string();
      const bool profile = settings.profile && (name == kProfileTable || name == kProfileTrace);
      if (name == kMetricsFile || name == kConfigFile || name == kPlotsFolder || profile ||
          LogCopies::is_file_name(name))
        fail(ErrorKind::io, "{} {}: the run itself writes this file", option, path.string());
      if (!fs::exists(run_folder, error)) return;  // it will be created
    }
  }
  check_writable(path);
}

// Weights replace weights, and nothing else that somebody may miss.
void check_replaces_weights(const fs::path& path) {
  std::error_code none;
  if (fs::is_regular_file(path, none) && fs::file_size(path, none) > 0 && !begins_like_safetensors(path))
    fail(ErrorKind::io, "--save {}: holds something else than weights, and is not replaced; choose another name",
         path.string());
}

// Lines enough to see a curve, also of a short training.
int64_t steps_between_lines(const Settings& settings, int64_t training_images) {
  if (settings.log_every > 0) return settings.log_every;
  constexpr int64_t kMost = 50, kLines = 20;
  return std::clamp<int64_t>(count_steps(settings, training_images).total / kLines, 1, kMost);
}

}  // namespace

std::string last_line_of_log(const fs::path& run) {
  std::ifstream log(run / kMetricsFile, std::ios::binary);
  std::string last;
  for (std::string line; std::getline(log, line);) last = std::move(line);
  return last;
}

void check_outputs(const Settings& settings) {
  const bool resumed = !settings.resume.empty();
  if (!settings.run.empty() && !resumed) check_new_run(settings.run);
  CHECK(settings.save.empty() || settings.trace.empty() || resolved(settings.save) != resolved(settings.trace),
        "--save and --trace: both name {}; give each a file of its own", settings.save.string());
  if (!settings.save.empty()) {
    check_output("--save", settings.save, settings);
    check_replaces_weights(settings.save);
  }
  if (!settings.trace.empty()) check_output("--trace", settings.trace, settings);
  if (!resumed) RunLog(settings, {}).remove();
}

RunLog::RunLog(const Settings& settings, const RunFacts& facts)
    : evaluated_(settings.evaluated()), log_every_(steps_between_lines(settings, facts.training_images)) {
  if (settings.run.empty()) {
    first_created_ = first_missing("runs");
    folder_ = create_fresh_folder(model_label(settings.model) + "-" + dataset_label(settings.dataset));
    if (first_created_.empty()) first_created_ = folder_;
  } else {
    check_new_run(settings.run);
    folder_ = settings.run;
    first_created_ = first_missing(folder_);
    create_folder(folder_);
  }
  try {
    config_ = config_text(settings, folder_, facts);
    write_file_atomically(folder_ / kConfigFile, config_);
    metrics_ = AppendedFile(folder_ / kMetricsFile, AppendedFile::Mode::create);
    metrics_.lock();
    copies_ = LogCopies::create(folder_);
  } catch (...) {
    remove();
    throw;
  }
}

RunLog::RunLog(const RunConfig& resumed)
    : folder_(resumed.settings.run),
      config_(resumed.text),
      evaluated_(resumed.settings.evaluated()),
      log_every_(steps_between_lines(resumed.settings, resumed.facts.training_images)),
      metrics_(folder_ / kMetricsFile, AppendedFile::Mode::open),
      began_(true) {
  if (!metrics_.lock()) fail(ErrorKind::io, "{}: another process is training this run", folder_.string());
}

void RunLog::remove() {
  std::error_code ignored;
  fs::remove(folder_ / kMetricsFile, ignored);
  fs::remove(folder_ / kConfigFile, ignored);
  LogCopies::remove(folder_);
  remove_created(folder_, first_created_);  // what nobody else put anything into
}

int64_t RunLog::sync() {
  metrics_.sync();
  return metrics_.size();
}

void RunLog::rewind(int64_t bytes) {
  if (bytes > metrics_.size())
    fail(ErrorKind::data, "{}: has {} bytes, at the checkpoint it had {}: lines are missing", metrics_.path().string(),
         metrics_.size(), bytes);
  metrics_.truncate(bytes);
  copies_ = LogCopies::restore(folder_, read_file_if_there(metrics_.path()));
}

void RunLog::write_line(const std::string& line) {
  metrics_.append(line + "\n");
  copies_.add(line);
}

void RunLog::step(const StepReport& report) {
  began_ = true;
  if (report.step % log_every_ != 0) return;
  write_line(fmt::format(R"({{"event":"step","step":{},"epoch":{},"loss":{},"lr":{}}})", report.step, report.epoch,
                         report.loss, report.lr));
}

void RunLog::epoch(const EpochReport& report) {
  write_line(fmt::format(
      R"({{"event":"epoch","epoch":{0},"step":{1},"lr":{9},"train_loss":{2},"train_accuracy":{3},"{4}_loss":{5},"{4}_accuracy":{6},"seconds":{7}{8}}})",
      report.epoch, report.step, report.train_loss, report.train_accuracy, evaluated_, report.evaluation.loss,
      report.evaluation.accuracy, report.seconds, times_text(report.times), report.lr));
}

void RunLog::summary(const TrainingResult& result) {
  const std::string best =
      result.best_epoch ? fmt::format(R"(,"best_epoch":{},"stopped_early":{})", *result.best_epoch, result.early) : "";
  write_line(fmt::format(
      R"({{"event":"summary","{0}_accuracy":{1},"{0}_loss":{2},"seconds":{3},"samples_per_second":{4}{5}}})",
      evaluated_, result.evaluation.accuracy, result.evaluation.loss, result.seconds, result.samples_per_second(),
      best));
}

void RunLog::interrupted(const TrainingResult& result) {
  write_line(fmt::format(R"({{"event":"interrupted","step":{},"epoch":{},"seconds":{},"samples_per_second":{}}})",
                         result.steps, result.epochs, result.seconds, result.samples_per_second()));
}

void RunLog::failed(const std::string& message) {
  if (began_) {
    const nlohmann::ordered_json event{{"event", "failed"}, {"message", message}};
    // The message may name a path with bytes that are no UTF-8.
    metrics_.append_or_truncate(event.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
  } else {
    remove();
  }
}

}  // namespace convoy
