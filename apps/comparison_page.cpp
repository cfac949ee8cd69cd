#include "apps/comparison_page.h"

#include <fmt/format.h>

#include "apps/comparison_shares.h"
#include "apps/comparison_table.h"
#include "apps/comparison_traffic.h"
#include "apps/number_text.h"

namespace convoy {
namespace {

constexpr const char* kHead = R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Comparison of parallel strategies</title>
<style>
body { font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; color: #222; background: #fff; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
h1, h2, h3 { line-height: 1.2 } h2 { margin-top: 3rem; border-bottom: 1px solid #ccc }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1rem 0 }
th, td { padding: .25rem .8rem; text-align: left; border-bottom: 1px solid #ddd; vertical-align: top }
td:nth-child(-n+2) { white-space: nowrap }
.number { text-align: right; white-space: nowrap } .failed { color: #b00020 } .beyond td { color: #777 }
.wide { overflow-x: auto } .note { color: #555; margin: .2rem 0 }
figure { margin: 1.5rem 0 } figcaption { font-weight: 600 } svg { max-width: 100%; height: auto }
code { background: #f3f3f3; padding: .1rem .3rem; overflow-wrap: anywhere }
</style></head><body>
)";

std::string cell(const std::string& text, bool number = false) {
  return fmt::format("<td{}>{}</td>", number ? " class=\"number\"" : "", html_text(text));
}

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
    text += (summary.configurations[i].oversubscribed ? "<tr class=\"beyond\">" : "<tr>") + cell(row.strategy) +
            cell(row.devices);
    if (row.failure.empty()) {
      for (const std::string* number : {&row.time, &row.speedup, &row.efficiency, &row.accuracy})
        text += cell(*number, true);
      text += cell(row.same);
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
    text += "<tr>" + cell(configuration.strategy) + cell(configuration.devices());
    for (size_t i = 0; i < names.size(); ++i)
      text += cell(shares ? fmt::format("{:.1f}", (*shares)[i]) : std::string("-"), true);
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
    text += "<tr>" + cell(configuration.strategy) + cell(configuration.devices()) +
            cell(megabytes(traffic.copy), true) + cell(megabytes(traffic.reduce), true) +
            cell(megabytes(traffic.communicate), true) + "</tr>\n";
  }
  return text + "</table></div>\n";
}

std::string facts_table(const std::vector<Fact>& facts) {
  std::string text = "<table>";
  for (const Fact& fact : facts) text += "<tr>" + cell(fact.name) + cell(fact.value) + "</tr>\n";
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
    text += "<tr>" + cell(comparison.plan.models[result.run.model].label) +
            cell(comparison.plan.configurations[result.run.configuration].name()) +
            cell(std::to_string(result.run.round), true);
    if (result.good()) {
      text += cell(fmt::format("{:.3f}", result.seconds), true) +
              cell(fmt::format("{:.0f}", result.samples_per_second), true) +
              cell(fmt::format("{:.6f}", result.loss), true) + cell(fmt::format("{:.2f}", result.accuracy), true) +
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

// From "<svg" on: what comes before belongs into a file of its own.
std::string svg_element(const std::string& file) {
  const size_t begin = file.find("<svg");
  return begin == std::string::npos ? "" : file.substr(begin);
}

}  // namespace

std::string html_text(const std::string& text) {
  std::string escaped;
  for (const char letter : text) {
    switch (letter) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += letter;
    }
  }
  return escaped;
}

std::string report_page(const Comparison& comparison, const std::vector<Picture>& pictures,
                        const std::string& no_pictures) {
  std::string text = kHead;
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
      if (picture.plot.model != summary.model) continue;
      text += fmt::format("<figure><figcaption>{}</figcaption>\n{}</figure>\n", html_text(picture.plot.caption),
                          svg_element(picture.svg));
    }
    text += shares_table(comparison, summary) + traffic_table(comparison, summary);
    text += "<h3>Settings</h3>\n" + facts_table(shared_settings(comparison, summary.model));
  }
  text += "<h2>Machine</h2>\n" + facts_table(comparison.machine);
  text += "<h2>All runs</h2>\n" + runs_table(comparison);
  return text + fmt::format("<h2>Again</h2>\n<p><code>{}</code></p>\n</body></html>\n", html_text(comparison.command));
}

}  // namespace convoy
