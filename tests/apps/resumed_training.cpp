#include "tests/apps/resumed_training.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <regex>

namespace convoy {

namespace fs = std::filesystem;

TrainingOutcome outcome_of(const TemporaryFolder& folder, const std::string& run, const std::string& weights) {
  static const std::regex times(R"re("(\w*seconds|samples_per_second)":[^,}]*)re");
  return {.weights = read_text(folder / weights),
          .log = std::regex_replace(read_text(folder / run / "metrics.jsonl"), times, "\"$1\":")};
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
