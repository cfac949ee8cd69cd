#include "apps/log_copies.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <sstream>
#include <vector>

#include "apps/event_file.h"
#include "apps/log_line.h"
#include "tensor/atomic_file.h"
#include "tensor/whole_file.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr const char* kEpochsFile = "metrics.csv";
constexpr const char* kStepsFile = "steps.csv";
constexpr const char* kEpochsHead =
    "epoch,step,lr,train_loss,train_accuracy_percent,evaluated_on,loss,accuracy_percent,training_seconds,copy_seconds,"
    "compute_seconds,exchange_seconds,reduce_seconds,communicate_seconds,update_seconds\n";
constexpr const char* kStepsHead = "step,epoch,loss,lr\n";

double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Each tells what a line adds to its file: "" for most.
std::string epoch_row(const LogLine& line) {
  const auto* const epoch = std::get_if<LoggedEpoch>(&line);
  if (epoch == nullptr) return "";
  const std::string times = !epoch->times ? ",,,,,"
                                          : fmt::format("{},{},{},{},{},{}", epoch->times->copy, epoch->times->compute,
                                                        epoch->times->exchange, epoch->times->reduce,
                                                        epoch->times->communicate, epoch->times->update);
  return fmt::format("{},{},{},{},{},{},{},{},{},{}\n", epoch->epoch, epoch->step,
                     epoch->lr ? fmt::format("{}", *epoch->lr) : "", epoch->train_loss, epoch->train_accuracy,
                     epoch->evaluated, epoch->evaluation.loss, epoch->evaluation.accuracy, epoch->seconds, times);
}

std::string step_row(const LogLine& line) {
  const auto* const step = std::get_if<LoggedStep>(&line);
  return step == nullptr ? "" : fmt::format("{},{},{},{}\n", step->step, step->epoch, step->loss, step->lr);
}

std::string event_record(const LogLine& line, double time) {
  const auto scalar = [](std::string tag, double value) {
    return EventScalar{.tag = std::move(tag), .value = static_cast<float>(value)};
  };
  if (const auto* const step = std::get_if<LoggedStep>(&line))
    return scalars_record(time, step->step, {scalar("loss/train", step->loss), scalar("lr", step->lr)});
  if (const auto* const epoch = std::get_if<LoggedEpoch>(&line))
    return scalars_record(
        time, epoch->step,
        {scalar("loss/train_epoch", epoch->train_loss), scalar("loss/" + epoch->evaluated, epoch->evaluation.loss),
         scalar("accuracy/train_epoch", epoch->train_accuracy),
         scalar("accuracy/" + epoch->evaluated, epoch->evaluation.accuracy)});
  return "";
}

// The event file that is there, or the one to make.
fs::path event_file_of(const fs::path& run) {
  std::vector<fs::path> found;
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator(run, none)) {
    if (entry.path().filename().string().starts_with(kEventFilePrefix)) found.push_back(entry.path());
  }
  return found.empty() ? run / event_file_name(seconds_since_1970()) : *std::ranges::min_element(found);
}

AppendedFile created(const fs::path& path, const std::string& head) {
  AppendedFile file(path, AppendedFile::Mode::create);
  file.append(head);
  return file;
}

// The file with this content. What it has beyond is cut off, so that programs which read along go on reading it.
AppendedFile restored(const fs::path& path, const std::string& content) {
  const bool begins_so = read_file_if_there(path).starts_with(content);
  if (!begins_so) write_file_atomically(path, content);
  AppendedFile file(path, AppendedFile::Mode::open);
  if (begins_so) file.truncate(static_cast<int64_t>(content.size()));
  return file;
}

}  // namespace

LogCopies LogCopies::create(const fs::path& run) {
  LogCopies copies;
  copies.epochs_ = created(run / kEpochsFile, kEpochsHead);
  copies.steps_ = created(run / kStepsFile, kStepsHead);
  copies.events_ = created(event_file_of(run), event_file_head(seconds_since_1970()));
  return copies;
}

LogCopies LogCopies::restore(const fs::path& run, const std::string& log) {
  const fs::path event_file = event_file_of(run);
  const std::vector<double> times = times_of_records(read_file_if_there(event_file));
  size_t records = 0;
  const auto next_time = [&] { return records < times.size() ? times[records] : seconds_since_1970(); };
  std::string epochs = kEpochsHead, steps = kStepsHead, events = event_file_head(next_time());
  ++records;
  std::istringstream lines(log);
  int64_t number = 0;
  for (std::string text; std::getline(lines, text);) {
    const LogLine line = parse_log_line(text, fmt::format("{}:{}", (run / kMetricsFile).string(), ++number));
    epochs += epoch_row(line);
    steps += step_row(line);
    const std::string record = event_record(line, next_time());
    events += record;
    if (!record.empty()) ++records;
  }
  LogCopies copies;
  copies.epochs_ = restored(run / kEpochsFile, epochs);
  copies.steps_ = restored(run / kStepsFile, steps);
  copies.events_ = restored(event_file, events);
  return copies;
}

void LogCopies::add(const std::string& line) {
  const LogLine parsed = parse_log_line(line, kMetricsFile);
  epochs_.append(epoch_row(parsed));
  steps_.append(step_row(parsed));
  events_.append(event_record(parsed, seconds_since_1970()));
}

void LogCopies::remove(const fs::path& run) {
  std::error_code none;
  for (const fs::path& path : {run / kEpochsFile, run / kStepsFile, event_file_of(run)}) fs::remove(path, none);
}

bool LogCopies::is_file_name(const std::string& name) {
  return name == kEpochsFile || name == kStepsFile || name.starts_with(kEventFilePrefix);
}

}  // namespace convoy
