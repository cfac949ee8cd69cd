#include "apps/run_record.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>

#include "apps/trainer.h"
#include "tensor/error.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

// Whether a process holds the lock of a run that is being trained (RunLog).
bool is_locked(const fs::path& log) {
  const int file = open(log.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool locked = flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  close(file);
  return locked;
}

RunState state_of(const std::optional<LoggedEnd>& end, bool running) {
  using Kind = LoggedEnd::Kind;
  if (end && end->kind == Kind::summary) return RunState::done;
  if (running) return RunState::running;
  if (!end) return RunState::killed;
  return end->kind == Kind::failed ? RunState::failed : RunState::interrupted;
}

void add(const LogLine& line, RunRecord& record) {
  record.end.reset();  // what does not stand last is no end
  if (const auto* const step = std::get_if<LoggedStep>(&line)) record.steps.push_back(*step);
  if (const auto* const epoch = std::get_if<LoggedEpoch>(&line)) record.epochs.push_back(*epoch);
  if (const auto* const end = std::get_if<LoggedEnd>(&line)) record.end = *end;
}

}  // namespace

const char* state_name(RunState state) {
  switch (state) {
    case RunState::done:
      return "done";
    case RunState::interrupted:
      return "interrupted";
    case RunState::failed:
      return "failed";
    case RunState::running:
      return "running";
    case RunState::killed:
      return "killed";
  }
  return "";
}

std::string RunRecord::name() const {
  const fs::path path = fs::absolute(folder).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

int64_t RunRecord::steps_per_epoch() const {
  return count_steps(config.settings, config.facts.training_images).per_epoch;
}

int64_t RunRecord::planned_epochs() const {
  return count_steps(config.settings, config.facts.training_images).epochs();
}

int64_t RunRecord::epochs_done() const { return static_cast<int64_t>(epochs.size()); }

int64_t RunRecord::steps_done() const { return std::max(epochs.empty() ? 0 : epochs.back().step, end ? end->step : 0); }

const Evaluation* RunRecord::evaluation() const {
  if (end && end->evaluation) return &*end->evaluation;
  return epochs.empty() ? nullptr : &epochs.back().evaluation;
}

double RunRecord::seconds() const {
  if (end && end->kind != LoggedEnd::Kind::failed) return end->seconds;
  double sum = 0;
  for (const LoggedEpoch& epoch : epochs) sum += epoch.seconds;
  return sum;
}

std::optional<double> RunRecord::samples_per_second() const {
  if (end && end->kind != LoggedEnd::Kind::failed) return end->samples_per_second;
  if (!(seconds() > 0)) return {};
  const int64_t cut = epochs.back().step % steps_per_epoch();  // in steps, when --steps ends the last epoch early
  const double whole =
      static_cast<double>(epochs_done() - (cut > 0)) * static_cast<double>(config.facts.training_images);
  return (whole + static_cast<double>(cut * config.settings.batch)) / seconds();
}

RunRecord read_run_record(const fs::path& folder, WithSteps with_steps) {
  const fs::path path = folder / kMetricsFile;
  RunRecord record{.folder = folder, .config = read_config(folder), .steps = {}, .epochs = {}, .end = {}, .torn = {}};
  const bool running = is_locked(path);  // before its log is read, so that an end is not missed
  std::ifstream log(path, std::ios::binary);
  if (!log) fail(ErrorKind::data, "{}: cannot be read; is {} the folder of a run?", path.string(), folder.string());
  int64_t number = 0;
  for (std::string text; std::getline(log, text);) {
    ++number;
    const bool last = log.eof();  // without the end of a line
    if (with_steps == WithSteps::no && !last && tells_of_step(text)) {
      record.end.reset();
      continue;
    }
    const std::string where = fmt::format("{}:{}", path.string(), number);
    try {
      add(parse_log_line(text, where), record);
    } catch (const Error&) {
      if (!last) throw;
      record.torn = where + ": the last line is not whole, and left out";
    }
  }
  record.state = state_of(record.end, running);
  return record;
}

bool is_run_folder(const fs::path& folder) {
  std::error_code none;
  return fs::is_regular_file(folder / kConfigFile, none);
}

}  // namespace convoy
