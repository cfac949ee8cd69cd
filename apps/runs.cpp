// `convoy runs`: the trainings in a folder.
#include <fmt/format.h>
#include <unistd.h>

#include "apps/commands.h"
#include "apps/help_text.h"
#include "apps/options.h"
#include "apps/run_table.h"
#include "tensor/error.h"

namespace convoy {

int run_runs(const GivenOptions& given) {
  const Settings settings = as_given(given);
  const std::filesystem::path folder = given.contains("FOLDER") ? settings.folder : "runs";
  std::error_code none;
  const bool there = std::filesystem::is_directory(folder, none);
  if (!there && given.contains("FOLDER")) fail(ErrorKind::data, "{}: is not a folder", folder.string());
  const std::vector<ListedRun> runs = there ? list_runs(folder) : std::vector<ListedRun>{};
  if (settings.json) {
    fmt::print("{}", run_json(runs));
    return 0;
  }
  if (runs.empty()) {
    fmt::print("no runs in {}: convoy train makes them\n", folder.string());
    return 0;
  }
  fmt::print("{}", run_table(runs, isatty(STDOUT_FILENO) == 1 ? std::optional(help_columns()) : std::nullopt));
  bool marked = false;
  for (const ListedRun& run : runs) {
    marked = marked || run.best;
    if (!run.damage.empty()) fmt::print("damaged  {}\n", run.damage);
  }
  if (marked && isatty(STDOUT_FILENO) == 1) fmt::print("* the best on its data set\n");
  return 0;
}

}  // namespace convoy
