#include "apps/run_log.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "apps/options.h"
#include "tensor/error.h"
#include "tensor/kernels.h"
#include "tensor/safetensors.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

// "custom" for a description on the command line, the file's name for @FILE.
std::string model_label(const std::string& model) {
  if (model.starts_with('@')) return fs::path(model.substr(1)).stem().string();
  return model.find_first_of(" ;{\n") == std::string::npos ? model : "custom";
}

// Creates `folder` and its parents; false when it was there already.
bool create_folder(const fs::path& folder) {
  std::error_code error;
  const bool created = fs::create_directories(folder, error);
  if (error) fail(ErrorKind::io, "{}: cannot create the folder: {}", folder.string(), error.message());
  return created;
}

// A folder of this name that did not exist before, also when two runs start in the same second.
fs::path create_fresh_folder(const std::string& name) {
  fs::path folder = name;
  for (int copy = 2; !create_folder(folder); ++copy) folder = fmt::format("{}-{}", name, copy);
  return folder;
}

fs::path create_run_folder(const Settings& settings) {
  if (!settings.run.empty()) {
    check_run_folder(settings.run);
    create_folder(settings.run);
    return settings.run;
  }
  return create_fresh_folder(fmt::format("runs/{}-{}-{:%Y%m%d-%H%M%S}", model_label(settings.model), settings.dataset,
                                         fmt::localtime(std::time(nullptr))));
}

}  // namespace

void check_run_folder(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(folder, error)) return;
  if (!fs::is_directory(folder, error)) fail(ErrorKind::io, "--run {}: is not a folder", folder.string());
  if (!fs::is_empty(folder, error))
    fail(ErrorKind::io, "--run {}: is not empty; an earlier run is never overwritten", folder.string());
}

void check_writable(const fs::path& path) {
  if (fs::is_directory(path)) fail(ErrorKind::io, "{}: is a folder", path.string());
  const std::string probe = fmt::format("{}.probe-{}", path.string(), getpid());
  const int file = open(probe.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (file < 0) fail(ErrorKind::io, "{}: cannot be written: {}", path.string(), std::strerror(errno));
  close(file);
  unlink(probe.c_str());
}

RunLog::RunLog(const Settings& settings)
    : folder_(create_run_folder(settings)),
      evaluated_(settings.holdout > 0 ? "validation" : "test"),
      log_every_(settings.log_every),
      metrics_(folder_ / "metrics.jsonl") {
  if (!metrics_)
    fail(ErrorKind::io, "{}: cannot be written: {}", (folder_ / "metrics.jsonl").string(), std::strerror(errno));
  nlohmann::ordered_json config{{"version", CONVOY_VERSION}, {"kernels", kernels(current_stream().device).name}};
  for (const OptionRow& row : option_table()) {
    std::string key = row.name.substr(2);
    for (char& letter : key) letter = letter == '-' ? '_' : letter;
    config[key] = row.get(settings);
  }
  config["run"] = folder_.string();
  write_file_atomically(folder_ / "config.json", config.dump(2) + "\n");
}

void RunLog::write_line(const std::string& line) {
  metrics_ << line << '\n' << std::flush;
  if (!metrics_)
    fail(ErrorKind::io, "{}: cannot be written: {}", (folder_ / "metrics.jsonl").string(), std::strerror(errno));
}

void RunLog::step(const StepReport& report) {
  if (report.step % log_every_ != 0) return;
  write_line(fmt::format(R"({{"event":"step","step":{},"epoch":{},"loss":{},"lr":{}}})", report.step, report.epoch,
                         report.loss, report.lr));
}

void RunLog::epoch(const EpochReport& report) {
  write_line(fmt::format(
      R"({{"event":"epoch","epoch":{0},"step":{1},"train_loss":{2},"train_accuracy":{3},"{4}_loss":{5},"{4}_accuracy":{6},"seconds":{7}}})",
      report.epoch, report.step, report.train_loss, report.train_accuracy, evaluated_, report.evaluation.loss,
      report.evaluation.accuracy, report.seconds));
}

void RunLog::summary(const TrainingResult& result) {
  write_line(fmt::format(
      R"({{"event":"summary","{0}_accuracy":{1},"{0}_loss":{2},"seconds":{3},"samples_per_second":{4}}})", evaluated_,
      result.evaluation.accuracy, result.evaluation.loss, result.seconds, result.samples_per_second()));
}

void RunLog::interrupted(const TrainingResult& result) {
  write_line(fmt::format(R"({{"event":"interrupted","step":{},"epoch":{},"seconds":{},"samples_per_second":{}}})",
                         result.steps, result.epochs, result.seconds, result.samples_per_second()));
}

void RunLog::failed(const std::string& message) {
  metrics_ << nlohmann::ordered_json{{"event", "failed"}, {"message", message}}.dump() << '\n' << std::flush;
}

}  // namespace convoy
