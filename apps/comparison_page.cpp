#include "apps/comparison_page.h"

#include <fmt/format.h>

#include "apps/comparison_shares.h"
#include "apps/comparison_table.h"
#include "apps/comparison_traffic.h"
#include "apps/html.h"
#include "apps/number_text.h"

namespace convoy {
namespace {

std::string number_headings(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += fmt::format("<th class=\"number\">{}</th>", name);
  return text;
}

std::string results_table(const Comparison& comparison, const ModelSummary& summary) {
  std::string text = "<div class=\"wide\"><table><tr>";
  const std::vector<std::string> header = comparison_header(comparison);
  for (size_t i = 0; i < header.size(); ++i)
    text += fmt::format("<th{}>{}</th>", i >= 2 && i <= 5 ? " class=\"number\"" : "", header[i]);
  text += "</tr>\n";
  const std::vector<ComparisonRow> rows = comparison_rows(comparison, summary);
  for (size_t i = 0; i < rows.size(); ++i) {
    const ComparisonRow& row = rows[i];
    text += (summary.configurations[i].oversubscribed ? "<tr class=\"beyond\">" : "<tr>") + html_cell(row.strategy) +
            html_cell(row.devices);
    if (row.failure.empty()) {
      for (const std::string* number : {&row.time, &row.speedup, &row.efficiency, &row.accuracy})
        text += html_cell(*number, true);
      text += html_cell(row.same);
    } else {
      text += fmt::format("<td colspan=\"5\" class=\"failed\">{}</td>", html_text(row.failure));
    }
    text += "</tr>\n";
  }
  return text + "</table></div>\n";
}

std::string megabytes(int64_t bytes) {
  return bytes == 0 ? "0" : fmt::format("{:.2f}", static_cast<double>(bytes) / 1e6);
}

std::string shares_table(const Comparison& comparison, const ModelSummary& summary) {
  std::vector<std::string> names;
  for (const TimePart& part : time_part_table()) names.emplace_back(part.name);
  std::string text =
      "<h3>Where the time goes</h3>\n<p>Percent of rank 0's training time, <b>measured</b>.</p>\n"
      "<div class=\"wide\"><table><tr><th>Strategy</th><th>Devices</th>" +
      number_headings(names) + "</tr>\n";
  for (const ConfigurationSummary& one : summary.configurations) {
    const Configuration& configuration = comparison.plan.configurations[one.configuration];
    const std::optional<std::vector<double>> shares = time_shares(one);
    text += "<tr>" + html_cell(configuration.strategy) + html_cell(configuration.devices());
    for (size_t i = 0; i < names.size(); ++i)
      text += html_cell(shares ? fmt::format("{:.1f}", (*shares)[i]) : std::string("-"), true);
    text += "</tr>\n";
  }
  return text + "</table></div>\n";
}

std::string traffic_table(const Comparison& comparison, const ModelSummary& summary) {
  const int64_t parameters = comparison.plan.models[summary.model].parameters;
  std::string text = fmt::format(
      "<h3>Bytes moved by a step</h3>\n<p>MB, <b>computed</b> from {} parameters of 4 bytes by the formulas of "
      "docs/parallel.md (copy and reduce: in each process; communicate: sent by each rank).</p>\n"
      "<div class=\"wide\"><table><tr><th>Strategy</th><th>Devices</th>{}</tr>\n",
      grouped(parameters), number_headings({"copy", "reduce", "communicate"}));
  for (const ConfigurationSummary& one : summary.configurations) {
    const Configuration& configuration = comparison.plan.configurations[one.configuration];
    const Settings settings = resolve(comparison.plan.training_options({summary.model, one.configuration, 1}));
    const StepTraffic traffic = step_traffic(configuration, parameters, settings.shards);
    text += "<tr>" + html_cell(configuration.strategy) + html_cell(configuration.devices()) +
            html_cell(megabytes(traffic.copy), true) + html_cell(megabytes(traffic.reduce), true) +
            html_cell(megabytes(traffic.communicate), true) + "</tr>\n";
  }
  return text + "</table></div>\n";
}

std::string facts_table(const std::vector<Fact>& facts) {
  std::string text = "<table>";
  for (const Fact& fact : facts) text += "<tr>" + html_cell(fact.name) + html_cell(fact.value) + "</tr>\n";
  return text + "</table>\n";
}

std::string notes(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += fmt::format("<p class=\"note\">{}</p>\n", html_text(line));
  return text;
}

// A row for each run that was made, in the order they were made.
std::string runs_table(const Comparison& comparison) {
  std::string text = "<div class=\"wide\"><table><tr><th>Model</th><th>Configuration</th>" +
                     number_headings({"Round", "Time, s", "samples/s", "Loss", accuracy_heading(comparison) + ", %"}) +
                     "<th>SHA-256 of the weights</th></tr>\n";
  for (const RunResult& result : comparison.results) {
    text += "<tr>" + html_cell(comparison.plan.models[result.run.model].label) +
            html_cell(comparison.plan.configurations[result.run.configuration].name()) +
            html_cell(std::to_string(result.run.round), true);
    if (result.good()) {
      text += html_cell(fmt::format("{:.3f}", result.seconds), true) +
              html_cell(fmt::format("{:.0f}", result.samples_per_second), true) +
              html_cell(fmt::format("{:.6f}", result.loss), true) +
              html_cell(fmt::format("{:.2f}", result.accuracy), true) +
              fmt::format("<td><code title=\"{0}\">{1}…</code></td>", result.weights_sha256,
                          result.weights_sha256.substr(0, 16));
    } else {
      text += fmt::format("<td colspan=\"5\" class=\"failed\">failed (exit code {}): {}</td>", result.exit_code,
                          html_text(result.message));
    }
    text += "</tr>\n";
  }
  return text + "</table></div>\n";
}

}  // namespace

std::string report_page(const Comparison& comparison, const std::vector<Picture>& pictures,
                        const std::string& no_pictures) {
  std::string text = page_head("Comparison of parallel strategies");
  text +=
      "<h1>Comparison of parallel strategies</h1>\n<p>The same network, data, seed and global batch under every "
      "strategy, in interleaved rounds.</p>\n";
  if (!comparison.stopped.empty())
    text += fmt::format("<p class=\"failed\">{}: only complete rounds are shown.</p>\n", html_text(comparison.stopped));
  text += notes(comparison.plan.notes) + notes(table_warnings(comparison));
  for (const ModelSummary& summary : comparison.summaries) {
    text += fmt::format("<h2>{}</h2>\n", html_text(heading(comparison, summary)));
    if (summary.rounds == 0) {
      text += "<p>No complete round.</p>\n";
      continue;
    }
    text += results_table(comparison, summary) + notes(table_notes(comparison));
    if (!no_pictures.empty()) text += fmt::format("<p class=\"note\">No pictures: {}</p>\n", html_text(no_pictures));
    for (const Picture& picture : pictures) {
      if (picture.plot.subject == summary.model) text += figure(picture);
    }
    text += shares_table(comparison, summary) + traffic_table(comparison, summary);
    text += "<h3>Settings</h3>\n" + facts_table(shared_settings(comparison, summary.model));
  }
  text += "<h2>Machine</h2>\n" + facts_table(comparison.machine);
  text += "<h2>All runs</h2>\n" + runs_table(comparison);
  return text + fmt::format("<h2>Again</h2>\n<p><code>{}</code></p>\n</body></html>\n", html_text(comparison.command));
}

}  // namespace convoy
