#include "apps/comparison_files.h"

#include <fmt/format.h>

#include "apps/comparison_shares.h"
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
  std::string text =
      fmt::format("| {} |\n|---|---|--:|--:|--:|--:|---|\n", fmt::join(comparison_header(comparison), " | "));
  for (const ComparisonRow& row : comparison_rows(comparison, summary)) {
    std::vector<std::string> cells{row.strategy,   row.devices,  row.time, row.speedup,
                                   row.efficiency, row.accuracy, row.same};
    if (!row.failure.empty()) cells.back() = row.failure;
    for (std::string& cell : cells) cell = markdown_cell(cell);
    text += fmt::format("| {} |\n", fmt::join(cells, " | "));
  }
  return text;
}

// Where the time goes; "" where no configuration was timed in parts.
std::string shares_table(const Comparison& comparison, const ModelSummary& summary) {
  std::string rows, header = "| Share of rank 0's training time in % |", rule = "|---|";
  for (const TimePart& part : time_part_table()) {
    header += fmt::format(" {} |", part.name);
    rule += "--:|";
  }
  for (const ConfigurationSummary& one : summary.configurations) {
    const std::optional<std::vector<double>> shares = time_shares(one);
    if (!shares) continue;
    const Configuration& configuration = comparison.plan.configurations[one.configuration];
    rows += fmt::format("| {}, {} |", configuration.strategy, configuration.devices());
    for (const double share : *shares) rows += fmt::format(" {:.1f} |", share);
    rows += "\n";
  }
  return rows.empty() ? "" : fmt::format("\n{}\n{}\n{}", header, rule, rows);
}

}  // namespace

std::string report_markdown(const Comparison& comparison) {
  std::string text = "# Comparison of parallel strategies\n\n";
  if (!comparison.stopped.empty())
    text += fmt::format("{}: only complete rounds are shown.\n\n", markdown_cell(comparison.stopped));
  for (const std::string& warning : table_warnings(comparison)) text += markdown_cell(warning) + "\n\n";
  for (const ModelSummary& summary : comparison.summaries) {
    text += fmt::format("## {}\n\n", markdown_cell(heading(comparison, summary)));
    text += summary.rounds == 0 ? "No complete round.\n" : markdown_table(comparison, summary);
    text += shares_table(comparison, summary) + "\nSettings: ";
    std::string separator;
    for (const Fact& fact : shared_settings(comparison, summary.model)) {
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
      "training_seconds,samples_per_second,evaluated_on,final_loss,accuracy_percent,copy_seconds,compute_seconds,"
      "exchange_seconds,reduce_seconds,communicate_seconds,update_seconds,weights_sha256,message\n";
  for (const RunResult& result : comparison.results) {
    const ComparedModel& model = comparison.plan.models[result.run.model];
    const Configuration& one = comparison.plan.configurations[result.run.configuration];
    text +=
        fmt::format("{},{},{},{},{},{},{},{},{},{},", csv_cell(model.model), model.dataset, one.strategy, one.name(),
                    one.ranks, one.replicas, one.threads, one.workers(), result.run.round, result.exit_code);
    text += !result.good() ? ",,,,,"
                           : fmt::format("{},{},{},{},{},", result.seconds, result.samples_per_second,
                                         comparison.plan.evaluated, result.loss, result.accuracy);
    const auto& times = result.times;
    text += !times ? ",,,,,,"
                   : fmt::format("{},{},{},{},{},{},", times->copy, times->compute, times->exchange, times->reduce,
                                 times->communicate, times->update);
    text += fmt::format("{},{}\n", result.weights_sha256, csv_cell(result.message));
  }
  return text;
}

}  // namespace convoy
