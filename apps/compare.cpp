// `convoy compare`: one network, one data set, every parallel strategy; each run is a `convoy train` of its own.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "apps/broken_pipe.h"
#include "apps/child_process.h"
#include "apps/commands.h"
#include "apps/comparison.h"
#include "apps/comparison_estimate.h"
#include "apps/comparison_files.h"
#include "apps/comparison_page.h"
#include "apps/comparison_plots.h"
#include "apps/comparison_table.h"
#include "apps/job_environment.h"
#include "apps/live_line.h"
#include "apps/machine.h"
#include "apps/number_text.h"
#include "apps/run_folder.h"
#include "apps/shell_word.h"
#include "tensor/atomic_file.h"
#include "tensor/cores.h"
#include "tensor/error.h"
#include "tensor/seconds_since.h"
#include "tensor/sha256.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

std::string command_line(const GivenOptions& given) {
  std::string line = "convoy compare";
  for (const auto& [name, text] : given) {
    if (name == "--run") continue;
    line += name == "--quick" ? " --quick" : fmt::format(" {} {}", name, shell_word(text));
  }
  return line;
}

std::vector<std::string> training_words(const ComparisonPlan& plan, const PlannedRun& run, const fs::path& folder) {
  std::vector<std::string> words{fs::read_symlink("/proc/self/exe").string(), "train"};
  for (const auto& [name, text] : plan.training_options(run)) words.push_back(name + "=" + text);
  words.push_back("--run=" + folder.string());
  words.push_back("--save=" + (folder / "weights.safetensors").string());
  words.push_back("--log-every=1");
  words.push_back("--checkpoint-every=0");  // times are measured
  words.push_back("--plots=off");
  return words;
}

// Runs one training and reads what it left. Nothing when it was interrupted; `interrupted` is then the signal.
std::optional<RunResult> run_training(const ComparisonPlan& plan, const PlannedRun& run, const fs::path& root,
                                      const SignalFile& signals, int& interrupted,
                                      const std::function<void(const ChildOutcome&)>& tick) {
  const fs::path folder = root / plan.folder_of(run);
  const ChildOutcome outcome = run_child(training_words(plan, run, folder), signals, tick);
  interrupted = outcome.interrupted;
  const fs::path weights = folder / "weights.safetensors";
  if (interrupted != 0) {
    std::error_code none;
    fs::remove(weights, none);
    return {};
  }
  RunResult result{.run = run, .exit_code = outcome.exit_code};
  if (outcome.exit_code == 0) {
    read_run(folder, result);
    result.weights_sha256 = sha256_of_file(weights);
    // Its digest says all that the comparison wants of it, and there is one for every run.
    fs::remove(weights);
  } else {
    result.message = failure_message(outcome.error);
    if (result.message.empty()) result.message = "ended without a message";
    create_folder(folder);
    write_file_atomically(folder / "output.txt", outcome.out + outcome.error);
  }
  return result;
}

// "[ 3/24] cifar-cnn  ddp, 2 ranks  round 1".
std::string run_label(const ComparisonPlan& plan, const PlannedRun& run, size_t number, size_t all) {
  const std::string total = std::to_string(all);
  const Configuration& configuration = plan.configurations[run.configuration];
  return fmt::format("[{:>{}}/{}] {}  {:<22}  round {}", number, total.size(), total, plan.models[run.model].label,
                     configuration.strategy + ", " + configuration.devices(), run.round);
}

// Wrong usage, or data that is missing or damaged: there is nothing to hope for from the same with other workers.
bool would_fail_again(const RunResult& result) {
  return result.exit_code == static_cast<int>(ErrorKind::usage) ||
         result.exit_code == static_cast<int>(ErrorKind::data);
}

// Runs the plan until its end, a signal, which is returned, else 0, or a run that would_fail_again(), the last result
// then.
int run_plan(Comparison& comparison, const fs::path& root, const SignalFile& signals) {
  const ComparisonPlan& plan = comparison.plan;
  const std::vector<PlannedRun> runs = plan.runs();
  TimeLeft left(plan);
  LiveLine line;
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::string label = run_label(plan, runs[i], i + 1, runs.size());
    const Clock::time_point start = Clock::now();
    const std::optional<double> with_this = left.from(i), after_this = left.from(i + 1);
    const auto tick = [&](const ChildOutcome& until_now) {
      const double seconds = seconds_since(start);
      const std::string said = last_line(until_now.out);
      std::string text = fmt::format("{}  {:.0f} s", label, seconds);
      if (with_this) text += "  " + time_left_text(std::max(*after_this, *with_this - seconds));
      if (said.starts_with("epoch")) text += "  " + said;
      line.show(text.substr(0, static_cast<size_t>(std::max<int64_t>(0, line.columns()))));
    };
    int interrupted = 0;
    const std::optional<RunResult> result = run_training(plan, runs[i], root, signals, interrupted, tick);
    if (!result) {
      line.print(label + "  interrupted");
      return interrupted;
    }
    comparison.results.push_back(*result);
    if (would_fail_again(*result)) return 0;
    left.add(runs[i], seconds_since(start));
    line.print(result->good()
                   ? fmt::format("{}  {:>7.2f} s  {:>7.0f} samples/s  {} accuracy {:.2f} %", label, result->seconds,
                                 result->samples_per_second, plan.evaluated, result->accuracy)
                   : fmt::format("{}  failed (exit code {}): {}", label, result->exit_code, one_line(result->message)));
    const bool round_ends = runs[i].configuration + 1 == plan.configurations.size();
    if (const std::optional<double> rest = left.from(i + 1); rest && round_ends && i + 1 < runs.size())
      line.print(fmt::format("{:{}}{}", "", label.find(']') + 2, time_left_text(*rest)));
  }
  return 0;
}

// "mnist-cnn with ddp, 2 ranks: mpirun: not found", of the last run.
std::string refusal(const Comparison& comparison) {
  const RunResult& last = comparison.results.back();
  const Configuration& configuration = comparison.plan.configurations[last.run.configuration];
  return fmt::format("{} with {}, {}: {}", comparison.plan.models[last.run.model].label, configuration.strategy,
                     configuration.devices(), one_line(last.message));
}

void write_report(const Comparison& comparison, const fs::path& root, const SignalFile& signals) {
  write_file_atomically(root / "results.csv", results_csv(comparison));
  const bool complete =
      std::ranges::any_of(comparison.summaries, [](const ModelSummary& one) { return one.rounds > 0; });
  if (!complete) {
    fmt::print("\nno round is complete: no report\nresults  {}\n", (root / "results.csv").string());
    return;
  }
  write_file_atomically(root / "report.md", report_markdown(comparison));
  const std::vector<Plot> plots = comparison_plots(comparison);
  create_folder(root / "plots");
  const std::string no_pictures = draw(plots, root / "plots", signals, Scripts::stay);
  const std::vector<Picture> pictures =
      no_pictures.empty() ? read_pictures(plots, root / "plots") : std::vector<Picture>{};
  write_file_atomically(root / "report.html", report_page(comparison, pictures, no_pictures));

  fmt::print("{}\n", terminal_tables(comparison));
  if (!no_pictures.empty()) fmt::print("no pictures: {}\n", no_pictures);
  fmt::print("report   {}\n", (root / "report.html").string());
}

}  // namespace

int run_compare(const GivenOptions& given) {
  survive_broken_pipes();
  CHECK(started_by().empty(),
        "compare: starts its own ranks; run it without mpirun or srun, and without RANK and WORLD_SIZE");
  const SignalFile signals;
  const double load = load_average();
  Comparison comparison{.plan = make_plan(given),
                        .results = {},
                        .summaries = {},
                        .cores = available_cores(),
                        .load = load,
                        .machine = machine_facts(load),
                        .command = command_line(given),
                        .stopped = {}};
  const auto run = given.find("--run");
  if (run != given.end()) check_run_folder(run->second);
  fs::path first_created = first_missing(run == given.end() ? fs::path("runs") : fs::path(run->second));
  const fs::path root = run == given.end() ? create_fresh_folder("compare") : fs::path(run->second);
  if (run == given.end() && first_created.empty()) first_created = root;
  create_folder(root);
  for (const std::string& note : comparison.plan.notes) fmt::print("{}\n", note);

  const int signal = run_plan(comparison, root, signals);
  const bool refused = !comparison.results.empty() && would_fail_again(comparison.results.back());
  if (signal != 0) comparison.stopped = "Interrupted";
  if (refused) comparison.stopped = refusal(comparison);
  if (refused && comparison.results.size() == 1) {
    std::error_code ignored;
    for (const ComparedModel& model : comparison.plan.models) fs::remove_all(root / model.label, ignored);
    remove_created(root, first_created);
    fail(static_cast<ErrorKind>(comparison.results.back().exit_code), "compare: {}", comparison.stopped);
  }
  comparison.summaries = summarise(comparison.plan, comparison.results, comparison.cores);
  write_report(comparison, root, signals);
  if (signal != 0) return 128 + signal;
  std::fflush(stdout);
  if (refused) fail(static_cast<ErrorKind>(comparison.results.back().exit_code), "compare: {}", comparison.stopped);
  if (comparison.failed() > 0) {
    const auto failed = std::ranges::find_if(comparison.results, [](const RunResult& one) { return !one.good(); });
    const bool documented = failed->exit_code <= static_cast<int>(ErrorKind::peer);
    fail(documented ? static_cast<ErrorKind>(failed->exit_code) : ErrorKind::peer,
         "compare: {} of {} runs failed, the first with exit code {}; {} tells which and why", comparison.failed(),
         comparison.results.size(), failed->exit_code, (root / "report.html").string());
  }
  return 0;
}

}  // namespace convoy
