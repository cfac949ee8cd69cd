#include "apps/run_folder.h"

#include <fmt/chrono.h>

#include <ctime>

#include "tensor/error.h"

namespace convoy {

namespace fs = std::filesystem;

void check_run_folder(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(folder, error)) return;
  if (!fs::is_directory(folder, error)) fail(ErrorKind::io, "--run {}: is not a folder", folder.string());
  if (!fs::is_empty(folder, error))
    fail(ErrorKind::io, "--run {}: is not empty; an earlier run is never overwritten, name a new folder",
         folder.string());
}

bool create_folder(const fs::path& folder) {
  std::error_code error;
  const bool created = fs::create_directories(folder, error);
  if (error) fail(ErrorKind::io, "{}: cannot create the folder: {}", folder.string(), error.message());
  return created;
}

fs::path create_fresh_folder(const std::string& label) {
  const std::string name = fmt::format("runs/{}-{:%Y%m%d-%H%M%S}", label, fmt::localtime(std::time(nullptr)));
  fs::path folder = name;
  for (int copy = 2; !create_folder(folder); ++copy) folder = fmt::format("{}-{}", name, copy);
  return folder;
}

fs::path first_missing(const fs::path& folder) {
  std::error_code error;
  fs::path missing;
  for (fs::path at = folder; !at.empty() && !fs::exists(at, error); at = at.parent_path()) {
    missing = at;
    if (at == at.parent_path()) break;
  }
  return missing;
}

void remove_created(const fs::path& folder, const fs::path& first_created) {
  if (first_created.empty()) return;
  std::error_code ignored;
  const fs::path last = folder.has_filename() ? folder : folder.parent_path();  // typed as "run/"
  for (fs::path at = last; fs::remove(at, ignored) && at != first_created;) at = at.parent_path();
}

std::string model_label(const std::string& model) {
  if (model.starts_with('@')) return fs::path(model.substr(1)).stem().string();
  return model.find_first_of(" ;{\n") == std::string::npos ? model : "custom";
}

}  // namespace convoy
