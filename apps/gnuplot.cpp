#include "apps/gnuplot.h"

#include <fmt/format.h>

#include "apps/child_process.h"
#include "apps/scratch_folder.h"
#include "tensor/atomic_file.h"
#include "tensor/error.h"
#include "tensor/whole_file.h"

namespace convoy {

namespace fs = std::filesystem;

std::string run_gnuplot(const fs::path& folder, const std::string& file, const SignalFile& signals) {
  const ChildOutcome outcome = run_child({"env", "--chdir=" + folder.string(), "gnuplot", file}, signals);
  if (outcome.interrupted != 0) return "interrupted";
  if (outcome.exit_code == 127) return "gnuplot is not installed (apt install gnuplot-nox)";
  if (outcome.exit_code == 0) return "";
  return "gnuplot failed: " + last_line(outcome.error);
}

std::string in_quotes(const std::string& text) {
  std::string safe = "'";
  for (const char letter : text) {
    if (letter == '\'') safe += '\'';
    safe += static_cast<unsigned char>(letter) < ' ' ? ' ' : letter;
  }
  return safe + "'";
}

void draw_png(const Drawing& drawing, const fs::path& output) {
  const SignalFile signals;
  const ScratchFolder folder;
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
  write_file_atomically(output, read_file_if_there(folder.path() / "picture.png"));
}

}  // namespace convoy
