#include "apps/comparison_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/letters.h"
#include "apps/number_text.h"
#include "tensor/counted.h"

namespace convoy {
namespace {

constexpr size_t kColumns = 100;

// With about three digits.
std::string seconds_text(double seconds) {
  return fmt::format("{:.{}f}", seconds, seconds < 10 ? 2 : seconds < 100 ? 1 : 0);
}

std::string same_text(const Difference& difference) {
  if (difference.same_bits) return "yes, bit for bit";
  return fmt::format("{}: final loss within {:.2g} %, accuracy within {:.2g} points",
                     difference.accuracy_holds() ? "yes, up to rounding" : "no", 100 * difference.loss,
                     difference.accuracy);
}

std::string same_in_brief(const Difference& difference) {
  if (difference.same_bits) return "yes, bit for bit";
  if (difference.accuracy_holds()) return fmt::format("yes, loss within {:.1g} %", 100 * difference.loss);
  return fmt::format("no, accuracy {:.2g} points off", difference.accuracy);
}

ComparisonRow row_of(const Configuration& configuration, const ConfigurationSummary& summary) {
  ComparisonRow row{.strategy = configuration.strategy,
                    .devices = configuration.devices() + (summary.oversubscribed ? " *" : "")};
  if (summary.failed > 0) {
    row.failure =
        fmt::format("failed{} (exit code {}): {}",
                    summary.measured() ? fmt::format(" in {} of {} rounds", summary.failed, summary.rounds) : "",
                    summary.exit_code, summary.message);
    return row;
  }
  const Spread& seconds = summary.seconds;
  row.time = seconds_text(seconds.median) + " s";
  if (summary.rounds > 1)
    row.time += fmt::format(" ({} to {})", seconds_text(seconds.least), seconds_text(seconds.most));
  row.accuracy = fmt::format("{:.2f} %", summary.accuracy.median);
  if (!summary.speedup) return row;
  const double speedup = summary.speedup->median;
  row.speedup = summary.oversubscribed ? fmt::format("({:.2f}x)", speedup) : fmt::format("{:.2f}x", speedup);
  if (!summary.oversubscribed) row.efficiency = fmt::format("{:.0f} %", 100 * speedup / configuration.workers());
  const bool is_serial = configuration.strategy == "serial" && summary.difference->same_bits;
  row.same = is_serial ? "is serial" : same_text(*summary.difference);
  row.same_in_brief = is_serial ? row.same : same_in_brief(*summary.difference);
  return row;
}

std::string terminal_line(const std::string& strategy, const std::string& devices, const std::string& time,
                          const std::string& speedup, const std::string& efficiency, const std::string& accuracy,
                          const std::string& same) {
  return fmt::format("{:<10} {:<13} {:>21} {:>8}  {:>10}  {:>9}  {}\n", strategy, devices, time, speedup, efficiency,
                     accuracy, same);
}

}  // namespace

std::string accuracy_heading(const Comparison& comparison) {
  return comparison.plan.evaluated == "test" ? "Test accuracy" : "Validation accuracy";
}

std::vector<std::string> comparison_header(const Comparison& comparison) {
  return {
      "Strategy", "Devices", "Time", "Speed-up", "Efficiency", accuracy_heading(comparison), "same result as serial?"};
}

std::vector<ComparisonRow> comparison_rows(const Comparison& comparison, const ModelSummary& summary) {
  std::vector<ComparisonRow> rows;
  for (const ConfigurationSummary& one : summary.configurations)
    rows.push_back(row_of(comparison.plan.configurations[one.configuration], one));
  return rows;
}

std::vector<std::string> table_notes(const Comparison& comparison) {
  std::vector<std::string> notes{
      "Time: seconds of training, loading and evaluation not counted; median of the rounds (least to most).",
      "Speed-up: against serial with one thread. Efficiency: speed-up / workers.",
      fmt::format("Accuracy: on the {} images, after the last step; median of the rounds.", comparison.plan.evaluated),
      "Same result: the weights' bytes; else, up to rounding, when accuracies differ by no more than 0.3 percentage "
      "points or ten images. Differences are the largest over all rounds."};
  if (comparison.oversubscribed())
    notes.push_back(fmt::format("* oversubscribed: more workers than the {} of this machine; no result on scaling.",
                                counted(comparison.cores, "core")));
  return notes;
}

std::vector<std::string> table_warnings(const Comparison& comparison) {
  std::vector<std::string> warnings;
  if (comparison.plan.quick)
    warnings.push_back("A quick run: so few images and steps show that all is well, not how well it trains or scales.");
  if (comparison.busy())
    warnings.push_back(fmt::format(
        "The machine was busy (load {:.1f} before the first run): times and speed-ups are not to be relied on.",
        comparison.load));
  for (const ModelSummary& summary : comparison.summaries) {
    constexpr double kSteady = 1.3;  // most / least of the same work on a machine without other work
    for (const ConfigurationSummary& one : summary.configurations) {
      const bool serial = comparison.plan.configurations[one.configuration].strategy == "serial";
      if (!serial || !one.measured() || one.seconds.most <= kSteady * one.seconds.least) continue;
      warnings.push_back(fmt::format(
          "Noise: on {}, serial's own rounds took {} to {} s for the same work; speed-ups are as uncertain as that.",
          comparison.plan.models[summary.model].label, seconds_text(one.seconds.least),
          seconds_text(one.seconds.most)));
    }
  }
  return warnings;
}

std::string heading(const Comparison& comparison, const ModelSummary& summary) {
  const ComparedModel& model = comparison.plan.models[summary.model];
  const RunResult* const run = good_run(comparison, summary.model);
  const std::string images = run == nullptr
                                 ? ""
                                 : fmt::format("{} training and {} {} images, ", grouped(run->training_images),
                                               grouped(run->evaluated_images), comparison.plan.evaluated);
  return fmt::format("{} on {}, {}{}", one_line(model.model), model.dataset, images, counted(summary.rounds, "round"));
}

std::string terminal_tables(const Comparison& comparison) {
  std::string text;
  for (const ModelSummary& summary : comparison.summaries) {
    text += fmt::format("\n{}\n", shortened(heading(comparison, summary), kColumns));
    if (summary.rounds == 0) {
      text += "no complete round\n";
      continue;
    }
    text += terminal_line("strategy", "devices", "time", "speed-up", "efficiency",
                          comparison.plan.evaluated == "test" ? "test acc." : "val. acc.", "same as serial?");
    for (const ComparisonRow& row : comparison_rows(comparison, summary)) {
      if (row.failure.empty()) {
        text += terminal_line(row.strategy, row.devices, row.time, row.speedup, row.efficiency, row.accuracy,
                              row.same_in_brief);
      } else {
        text += shortened(fmt::format("{:<10} {:<13} {}", row.strategy, row.devices, one_line(row.failure)), kColumns) +
                "\n";
      }
    }
  }
  text += "\n";
  std::vector<std::string> lines = table_warnings(comparison);
  for (const std::string& note : table_notes(comparison)) lines.push_back(note);
  for (const std::string& note : lines) {
    // Broken at spaces.
    std::string rest = note;
    while (rest.size() > kColumns) {
      const size_t space = rest.rfind(' ', kColumns);
      text += rest.substr(0, space) + "\n";
      rest = fmt::format("  {}", rest.substr(space + 1));
    }
    text += rest + "\n";
  }
  return text;
}

}  // namespace convoy
