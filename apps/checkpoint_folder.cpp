#include "apps/checkpoint_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <vector>

#include "apps/run_folder.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kStep = "step-", kEnd = ".safetensors";
constexpr const char* kBest = "best.safetensors";

struct StepFile {
  int64_t step;
  fs::path path;
};

std::optional<int64_t> step_of(const std::string& name) {
  if (!name.starts_with(kStep) || !name.ends_with(kEnd)) return {};
  const char* const begin = name.data() + kStep.size();
  const char* const end = name.data() + name.size() - kEnd.size();
  int64_t step = 0;
  const auto [stopped, error] = std::from_chars(begin, end, step);
  if (error != std::errc() || stopped != end) return {};
  return step;
}

// The newest first.
std::vector<StepFile> step_files(const fs::path& folder) {
  std::vector<StepFile> files;
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, none)) {
    if (const std::optional<int64_t> step = step_of(entry.path().filename().string()))
      files.push_back({*step, entry.path()});
  }
  std::ranges::sort(files, [](const StepFile& a, const StepFile& b) { return a.step > b.step; });
  return files;
}

}  // namespace

CheckpointFolder::CheckpointFolder(const fs::path& run, int64_t keep)
    : folder_(run / "checkpoints"), keep_(static_cast<size_t>(keep)) {}

void CheckpointFolder::create() const { create_folder(folder_); }

void CheckpointFolder::write_step(int64_t step, const Module& module, const TrainingParts& parts,
                                  const CheckpointFacts& facts) const {
  create();
  const fs::path path = folder_ / fmt::format("{}{:08}{}", kStep, step, kEnd);
  write_checkpoint(path, module, parts, facts);
  size_t kept = 0;
  for (const StepFile& file : step_files(folder_)) {
    // One that claims a later step was found damaged when this training was resumed before it.
    const bool wanted = file.step <= step && kept < keep_;
    if (wanted) ++kept;
    std::error_code ignored;
    if (!wanted) fs::remove(file.path, ignored);
  }
}

void CheckpointFolder::write_best(const Module& module, const TrainingParts& parts,
                                  const CheckpointFacts& facts) const {
  create();
  write_checkpoint(folder_ / kBest, module, parts, facts);
}

Checkpoint CheckpointFolder::read_newest(const std::function<void(const std::string&)>& warn) const {
  std::vector<fs::path> candidates;
  for (StepFile& file : step_files(folder_)) candidates.push_back(std::move(file.path));
  std::error_code none;
  if (fs::exists(folder_ / kBest, none)) candidates.push_back(folder_ / kBest);
  for (const fs::path& path : candidates) {
    try {
      return read_checkpoint(path);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
      warn(error.what());
    }
  }
  fail(ErrorKind::data, "{}: {}, so that there is nothing to go on with", folder_.string(),
       candidates.empty() ? "no checkpoint is there" : "no checkpoint is whole");
}

fs::path CheckpointFolder::best_or_newest() const {
  std::error_code none;
  if (fs::exists(folder_ / kBest, none)) return folder_ / kBest;
  const std::vector<StepFile> files = step_files(folder_);
  return files.empty() ? fs::path() : files.front().path;
}

void CheckpointFolder::remove_unfinished() const {
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_, none)) {
    std::error_code ignored;
    if (entry.path().extension() == ".tmp") fs::remove(entry.path(), ignored);
  }
}

}  // namespace convoy
