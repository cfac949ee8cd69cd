#include "apps/gnuplot.h"

#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "apps/child_process.h"
#include "tensor/atomic_file.h"
#include "tensor/error.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

// A folder that is gone at the end.
class WorkFolder {
 public:
  WorkFolder() {
    std::error_code none;
    std::string name = (fs::temp_directory_path(none) / "convoy-picture-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) fail(ErrorKind::io, "{}: cannot create the folder", name);
    path_ = name;
  }
  ~WorkFolder() {
    std::error_code none;
    fs::remove_all(path_, none);
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

std::string bytes_of(const fs::path& path) {
  std::ostringstream bytes;
  bytes << std::ifstream(path, std::ios::binary).rdbuf();
  return bytes.str();
}

}  // namespace

std::string run_gnuplot(const fs::path& folder, const std::string& file, const SignalFile& signals) {
  const ChildOutcome outcome = run_child({"env", "--chdir=" + folder.string(), "gnuplot", file}, signals);
  if (outcome.exit_code == 127) return "gnuplot is not installed (apt install gnuplot-nox)";
  if (outcome.exit_code == 0) return "";
  const size_t begin = outcome.error.find_first_not_of("\n ");
  const std::string told = begin == std::string::npos ? "" : outcome.error.substr(begin);
  return fmt::format("gnuplot failed at {}: {}", (folder / file).string(), told.substr(0, told.find('\n')));
}

std::string quoted(const std::string& text) {
  std::string safe = "'";
  for (const char letter : text) {
    if (letter == '\'') safe += '\'';
    safe += static_cast<unsigned char>(letter) < ' ' ? ' ' : letter;
  }
  return safe + "'";
}

void draw_png(const Drawing& drawing, const fs::path& output) {
  const SignalFile signals;
  const WorkFolder folder;
  write_file_atomically(folder.path() / "data", drawing.data);
  write_file_atomically(
      folder.path() / "script.gp",
      fmt::format(
          "set encoding utf8\nset terminal pngcairo noenhanced size {},{} font \"DejaVu Sans,10\" background rgb "
          "\"white\"\nset output \"picture.png\"\n",
          drawing.w, drawing.h) +
          drawing.script);
  const std::string fault = run_gnuplot(folder.path(), "script.gp", signals);
  if (!fault.empty()) fail(ErrorKind::io, "{}: cannot be drawn: {}", output.string(), fault);
  write_file_atomically(output, bytes_of(folder.path() / "picture.png"));
}

}  // namespace convoy
