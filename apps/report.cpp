// `convoy report`: what trainings came to, beside each other, as one HTML page.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <set>

#include "apps/commands.h"
#include "apps/options.h"
#include "apps/report_page.h"
#include "apps/run_plots.h"
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

// A folder for what is only there to be read again.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::error_code error;
    const fs::path temporary = fs::temp_directory_path(error);
    path_ = temporary / "convoy-report-XXXXXX";
    std::string name = path_.string();
    if (error || mkdtemp(name.data()) == nullptr)
      fail(ErrorKind::io, "$TMPDIR: cannot create the folder {}", path_.string());
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

}  // namespace

int run_report(const GivenOptions& given) {
  CHECK(given.contains("RUN"), "report: name the folders of runs, like convoy report runs/one runs/other");
  const Settings settings = as_given(given);
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
