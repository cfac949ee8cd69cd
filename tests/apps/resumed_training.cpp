#include "tests/apps/resumed_training.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <regex>
#include <sstream>

namespace convoy {

namespace fs = std::filesystem;

namespace {

// Without the columns of times, which are the last ones.
std::string epochs_without_times(const fs::path& run) {
  std::istringstream rows(read_text(run / "metrics.csv"));
  std::string text;
  for (std::string row; std::getline(rows, row);) {
    size_t end = 0;
    for (int column = 0; column < 8; ++column) end = row.find(',', end) + 1;
    text += row.substr(0, end) + "\n";
  }
  return text;
}

// The messages of all records, without the time with which each begins.
std::string events_without_times(const fs::path& run) {
  std::string text;
  for (const fs::directory_entry& entry : fs::directory_iterator(run)) {
    if (!entry.path().filename().string().starts_with("events.out.tfevents.")) continue;
    const std::string bytes = read_text(entry.path());
    for (size_t at = 0; at < bytes.size();) {
      const size_t length =
          static_cast<unsigned char>(bytes.at(at)) + 256 * static_cast<unsigned char>(bytes.at(at + 1));
      text += bytes.substr(at, 12) + bytes.substr(at + 12 + 9, length - 9) + "\n";
      at += 12 + length + 4;
    }
  }
  return text;
}

}  // namespace

TrainingOutcome outcome_of(const TemporaryFolder& folder, const std::string& run, const std::string& weights) {
  static const std::regex times(R"re("(\w*seconds|samples_per_second)":[^,}]*)re");
  return {.weights = read_text(folder / weights),
          .log = std::regex_replace(read_text(folder / run / "metrics.jsonl"), times, "\"$1\":"),
          .copies = epochs_without_times(folder / run) + read_text(folder / run / "steps.csv") +
                    events_without_times(folder / run)};
}

fs::path step_file(const fs::path& run, int64_t step) {
  return run / "checkpoints" / fmt::format("step-{:08}.safetensors", step);
}

std::vector<std::string> checkpoints_of(const fs::path& run) {
  std::vector<std::string> names;
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator(run / "checkpoints", none))
    names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

void copy_killed_run(const fs::path& complete, const fs::path& killed, int64_t step) {
  fs::copy(complete, killed, fs::copy_options::recursive);
  for (const std::string& name : checkpoints_of(killed)) {
    if (name > step_file("", step).filename().string() || name.starts_with("best"))
      fs::remove(killed / "checkpoints" / name);
  }
  std::string log = read_text(killed / "metrics.jsonl");
  log.resize(log.rfind("{\"event\":\"summary\""));
  std::ofstream(killed / "metrics.jsonl", std::ios::binary) << log;
}

}  // namespace convoy
