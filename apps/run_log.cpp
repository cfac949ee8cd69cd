#include "apps/run_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "apps/run_folder.h"
#include "tensor/atomic_file.h"
#include "tensor/error.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMetrics = "metrics.jsonl";

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
      if (path.filename() == kMetrics || path.filename() == kConfigFile)
        fail(ErrorKind::io, "{} {}: the run itself writes this file", option, path.string());
      if (!fs::exists(run_folder, error)) return;  // it will be created
    }
  }
  check_writable(path);
}

}  // namespace

std::string last_line_of_log(const fs::path& run) {
  std::ifstream log(run / kMetrics, std::ios::binary);
  std::string last;
  for (std::string line; std::getline(log, line);) last = std::move(line);
  return last;
}

void check_outputs(const Settings& settings) {
  const bool resumed = !settings.resume.empty();
  if (!settings.run.empty() && !resumed) check_run_folder(settings.run);
  CHECK(settings.save.empty() || settings.trace.empty() || resolved(settings.save) != resolved(settings.trace),
        "--save and --trace: both name {}; give each a file of its own", settings.save.string());
  if (!settings.save.empty()) check_output("--save", settings.save, settings);
  if (!settings.trace.empty()) check_output("--trace", settings.trace, settings);
  if (!resumed) RunLog(settings, 0, 0).remove();
}

RunLog::RunLog(const Settings& settings, int64_t training_images, int64_t evaluated_images)
    : evaluated_(settings.evaluated()), log_every_(settings.log_every) {
  if (settings.run.empty()) {
    first_created_ = first_missing("runs");
    folder_ = create_fresh_folder(model_label(settings.model) + "-" + settings.dataset);
    if (first_created_.empty()) first_created_ = folder_;
  } else {
    check_run_folder(settings.run);
    folder_ = settings.run;
    first_created_ = first_missing(folder_);
    create_folder(folder_);
  }
  try {
    config_ = config_text(settings, folder_, training_images, evaluated_images);
    write_file_atomically(folder_ / kConfigFile, config_);
    metrics_ = open((folder_ / kMetrics).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
    if (metrics_ < 0)
      fail(ErrorKind::io, "{}: cannot be written: {}", (folder_ / kMetrics).string(), std::strerror(errno));
    lock();
  } catch (...) {
    remove();
    throw;
  }
}

RunLog::RunLog(const RunConfig& resumed)
    : folder_(resumed.settings.run),
      config_(resumed.text),
      evaluated_(resumed.settings.evaluated()),
      log_every_(resumed.settings.log_every),
      began_(true) {
  const std::string path = (folder_ / kMetrics).string();
  metrics_ = open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (metrics_ < 0) fail(ErrorKind::io, "{}: cannot be written: {}", path, std::strerror(errno));
  if (!lock()) {
    close(metrics_);
    fail(ErrorKind::io, "{}: another process is training this run", folder_.string());
  }
  size_ = lseek(metrics_, 0, SEEK_END);
}

RunLog::~RunLog() {
  if (metrics_ >= 0) close(metrics_);
}

void RunLog::remove() {
  std::error_code ignored;
  fs::remove(folder_ / kMetrics, ignored);
  fs::remove(folder_ / kConfigFile, ignored);
  remove_created(folder_, first_created_);  // what nobody else put anything into
}

// File systems that know no locks let everybody in.
bool RunLog::lock() { return flock(metrics_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK; }

int64_t RunLog::sync() {
  if (fsync(metrics_) != 0)
    fail(ErrorKind::io, "{}: cannot be written: {}", (folder_ / kMetrics).string(), std::strerror(errno));
  return size_;
}

void RunLog::rewind(int64_t bytes) {
  const std::string path = (folder_ / kMetrics).string();
  if (bytes > size_)
    fail(ErrorKind::data, "{}: has {} bytes, at the checkpoint it had {}: lines are missing", path, size_, bytes);
  if (ftruncate(metrics_, bytes) != 0) fail(ErrorKind::io, "{}: cannot be written: {}", path, std::strerror(errno));
  size_ = bytes;
}

int RunLog::write_or_truncate(const std::string& line) {
  const std::string bytes = line + "\n";
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t written = write(metrics_, bytes.data() + done, bytes.size() - done);
    if (written < 0 && errno != EINTR) {
      const int error = errno;
      return ftruncate(metrics_, size_) == 0 ? error : errno;
    }
    if (written > 0) done += static_cast<size_t>(written);
  }
  size_ += static_cast<int64_t>(bytes.size());
  return 0;
}

void RunLog::write_line(const std::string& line) {
  if (const int error = write_or_truncate(line); error != 0)
    fail(ErrorKind::io, "{}: cannot be written: {}", (folder_ / kMetrics).string(), std::strerror(error));
}

void RunLog::step(const StepReport& report) {
  began_ = true;
  if (report.step % log_every_ != 0) return;
  write_line(fmt::format(R"({{"event":"step","step":{},"epoch":{},"loss":{},"lr":{}}})", report.step, report.epoch,
                         report.loss, report.lr));
}

void RunLog::epoch(const EpochReport& report) {
  write_line(fmt::format(
      R"({{"event":"epoch","epoch":{0},"step":{1},"train_loss":{2},"train_accuracy":{3},"{4}_loss":{5},"{4}_accuracy":{6},"seconds":{7}{8}}})",
      report.epoch, report.step, report.train_loss, report.train_accuracy, evaluated_, report.evaluation.loss,
      report.evaluation.accuracy, report.seconds, times_text(report.times)));
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
    write_or_truncate(event.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  } else {
    remove();
  }
}

}  // namespace convoy
