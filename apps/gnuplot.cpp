#include "apps/gnuplot.h"

#include <fmt/format.h>

#include "apps/child_process.h"
#include "tensor/atomic_file.h"

namespace convoy {

std::string quoted(const std::string& text) {
  std::string safe;
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') safe += '\\';
    safe += letter;
  }
  return safe;
}

std::string draw(const std::string& name, const std::string& script, const std::filesystem::path& folder,
                 const SignalFile& signals) {
  const std::string whole =
      "# gnuplot " + name +
      ".gp\nset border 3\nset tics nomirror\nset grid ytics linetype 1 linewidth 0.6 linecolor rgb \"#d0d0d0\"\n" +
      "set terminal svg noenhanced size 860,500 font \"DejaVu Sans,14\" background rgb \"white\"\nset output \"" +
      name + ".svg\"\n" + script +
      "set terminal pngcairo noenhanced size 1720,1000 font \"DejaVu Sans,14\" fontscale 2 linewidth 2 pointscale "
      "2\nset output \"" +
      name + ".png\"\nreplot\n";
  write_file_atomically(folder / (name + ".gp"), whole);
  const ChildOutcome outcome = run_child({"env", "--chdir=" + folder.string(), "gnuplot", name + ".gp"}, signals);
  if (outcome.exit_code == 127)
    return "gnuplot is not installed (apt install gnuplot-nox); with it, draw the pictures from the .gp files in " +
           folder.string();
  if (outcome.exit_code != 0)
    return fmt::format("gnuplot failed at {}: {}", (folder / (name + ".gp")).string(),
                       outcome.error.substr(0, outcome.error.find('\n')));
  return "";
}

}  // namespace convoy
