#include "apps/comparison_files.h"

#include <fmt/format.h>

#include "apps/comparison_table.h"
#include "apps/number_text.h"

namespace convoy {
namespace {

std::string markdown_cell(const std::string& text) {
  std::string cell;
  for (const char letter : one_line(text)) {
    if (letter == '|' || letter == '<' || letter == '*' || letter == '_' || letter == '`') cell += '\\';
    cell += letter;
  }
  return cell;
}

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string cell = "\"";
  for (const char letter : text) cell += letter == '"' ? std::string("\"\"") : std::string(1, letter);
  return cell + "\"";
}

std::string markdown_table(const Comparison& comparison, const ModelSummary& summary) {
  std::string text = fmt::format("| {} |\n|---|---|--:|--:|--:|--:|---|\n", fmt::join(kComparisonHeader, " | "));
  for (const ComparisonRow& row : comparison_rows(comparison, summary)) {
    std::vector<std::string> cells{row.strategy,   row.devices,  row.time, row.speedup,
                                   row.efficiency, row.accuracy, row.same};
    if (!row.failure.empty()) cells.back() = row.failure;
    for (std::string& cell : cells) cell = markdown_cell(cell);
    text += fmt::format("| {} |\n", fmt::join(cells, " | "));
  }
  return text;
}

}  // namespace

std::string report_markdown(const Comparison& comparison) {
  std::string text = "# Comparison of parallel strategies\n\n";
  if (comparison.interrupted) text += "Interrupted: only complete rounds are shown.\n\n";
  for (const ModelSummary& summary : comparison.summaries) {
    text += fmt::format("## {}\n\n", markdown_cell(heading(comparison, summary)));
    text += summary.rounds == 0 ? "No complete round.\n" : markdown_table(comparison, summary);
    text += "\nSettings: ";
    std::string separator;
    for (const Fact& fact : shared_settings(comparison.plan, summary.model)) {
      text += separator + fact.name + " " + markdown_cell(fact.value);
      separator = ", ";
    }
    text += ".\n\n";
  }
  for (const std::string& note : table_notes(comparison)) text += "- " + markdown_cell(note) + "\n";
  for (const std::string& note : comparison.plan.notes) text += "- " + markdown_cell(note) + "\n";
  text += "\n## Machine\n\n";
  for (const Fact& fact : comparison.machine) text += fmt::format("- {}: {}\n", fact.name, markdown_cell(fact.value));
  return text + fmt::format("\n    {}\n", one_line(comparison.command));
}

std::string results_csv(const Comparison& comparison) {
  std::string text =
      "model,dataset,strategy,configuration,ranks,replicas_per_rank,threads_per_rank,workers,round,exit_code,"
      "training_seconds,samples_per_second,final_loss,accuracy_percent,copy_seconds,compute_seconds,reduce_seconds,"
      "communicate_seconds,update_seconds,weights_sha256,message\n";
  for (const RunResult& result : comparison.results) {
    const ComparedModel& model = comparison.plan.models[result.run.model];
    const Configuration& one = comparison.plan.configurations[result.run.configuration];
    text +=
        fmt::format("{},{},{},{},{},{},{},{},{},{},", csv_cell(model.model), model.dataset, one.strategy, one.name(),
                    one.ranks, one.replicas, one.threads, one.workers(), result.run.round, result.exit_code);
    text += !result.good()
                ? ",,,,"
                : fmt::format("{},{},{},{},", result.seconds, result.samples_per_second, result.loss, result.accuracy);
    const auto& times = result.times;
    text += !times ? ",,,,,"
                   : fmt::format("{},{},{},{},{},", times->copy, times->compute, times->reduce, times->communicate,
                                 times->update);
    text += fmt::format("{},{}\n", result.weights_sha256, csv_cell(result.message));
  }
  return text;
}

}  // namespace convoy
