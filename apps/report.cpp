// `convoy report`: what trainings came to, beside each other, as one HTML page.
#include <fmt/format.h>

#include <set>

#include "apps/commands.h"
#include "apps/options.h"
#include "apps/report_page.h"
#include "apps/run_plots.h"
#include "apps/scratch_folder.h"
#include "tensor/atomic_file.h"
#include "tensor/counted.h"
#include "tensor/error.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

std::vector<RunRecord> read_runs(const std::vector<fs::path>& folders) {
  std::vector<RunRecord> runs;
  std::set<fs::path> seen;
  for (const fs::path& folder : folders) {
    std::error_code none;
    CHECK(seen.insert(fs::weakly_canonical(folder, none)).second, "report: {} is named twice", folder.string());
    runs.push_back(read_run_record(folder));
    if (!runs.back().torn.empty()) fmt::print(stderr, "convoy: warning: {}\n", runs.back().torn);
  }
  return runs;
}

}  // namespace

int run_report(const GivenOptions& given) {
  CHECK(given.contains("RUN"), "report: name the folders of runs, like convoy report runs/one runs/other");
  Settings settings = as_given(given);
  if (settings.output.empty()) settings.output = "report.html";
  std::error_code none;
  if (fs::is_directory(settings.output, none))
    fail(ErrorKind::io, "--output {}: is a folder, the name of a file is wanted", settings.output.string());
  const std::vector<RunRecord> runs = read_runs(settings.runs);
  const std::vector<Plot> plots = run_plots(runs, names_of(runs));
  std::string no_pictures = "no step is logged yet";
  std::vector<Picture> pictures;
  if (!plots.empty()) {
    const ScratchFolder scratch;
    const SignalFile signals;
    no_pictures = draw(plots, scratch.path(), signals, Scripts::vanish);
    if (no_pictures.empty()) pictures = read_pictures(plots, scratch.path());
  }
  write_file_atomically(settings.output, training_report_page(runs, pictures, no_pictures));
  if (!no_pictures.empty()) fmt::print("no pictures: {}\n", no_pictures);
  fmt::print("report   {} ({})\n", settings.output.string(), counted(static_cast<int64_t>(runs.size()), "run"));
  return 0;
}

}  // namespace convoy
