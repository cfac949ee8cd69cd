#include "apps/report_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>

#include "apps/html.h"
#include "apps/number_text.h"
#include "apps/options.h"
#include "apps/repeat_command.h"
#include "apps/shell_word.h"
#include "tensor/whole_file.h"

namespace convoy {
namespace {

std::string heading_row(const std::vector<std::string>& names) {
  std::string text = "<tr>";
  for (const std::string& name : names) text += "<th>" + html_text(name) + "</th>";
  return text + "</tr>\n";
}

std::string wide_table(const std::string& rows) { return "<div class=\"wide\"><table>" + rows + "</table></div>\n"; }

// "done", or why not: "failed: step 3 (epoch 1): the loss is nan".
std::string state_cell(const RunRecord& run) {
  std::string text = state_name(run.state);
  if (run.state == RunState::failed) text += ": " + run.end->message;
  return fmt::format("<td{}>{}</td>", run.state == RunState::done ? "" : " class=\"failed\"", html_text(text));
}

std::string method_of(const Settings& settings) {
  std::string text = settings.strategy;
  if (settings.ranks > 1) text += fmt::format(", {} ranks", settings.ranks);
  if (settings.replicas > 1) text += fmt::format(", {} replicas", settings.replicas);
  return text + ", " + settings.device + (settings.device == "cpu" ? "" : " " + settings.precision);
}

std::string number_cell(const Evaluation* evaluation, double Evaluation::*member, const char* format) {
  return html_cell(evaluation == nullptr ? "-" : fmt::format(fmt::runtime(format), evaluation->*member), true);
}

std::string results_table(const std::vector<RunRecord>& runs, const std::vector<std::string>& names) {
  std::string rows = heading_row({"Run", "State", "Model", "Data", "Epochs", "Accuracy, %", "Loss", "measured on",
                                  "Training, s", "Samples/s", "Parameters", "Strategy", "Began (UTC)"});
  for (size_t i = 0; i < runs.size(); ++i) {
    const RunRecord& run = runs[i];
    const Settings& settings = run.config.settings;
    const std::optional<double> rate = run.samples_per_second();
    rows += "<tr>" + html_cell(names[i]) + state_cell(run) + html_cell(one_line(settings.model)) +
            html_cell(settings.dataset) +
            html_cell(fmt::format("{} of {}", run.epochs_done(), run.planned_epochs()), true) +
            number_cell(run.evaluation(), &Evaluation::accuracy, "{:.2f}") +
            number_cell(run.evaluation(), &Evaluation::loss, "{:.4f}") +
            html_cell(fmt::format("{} {} images", grouped(run.config.facts.evaluated_images), run.evaluated())) +
            html_cell(run.seconds() > 0 ? fmt::format("{:.1f}", run.seconds()) : "-", true) +
            html_cell(rate ? grouped(static_cast<int64_t>(*rate + 0.5)) : "-", true) +
            html_cell(run.config.facts.parameters > 0 ? grouped(run.config.facts.parameters) : "-", true) +
            html_cell(method_of(settings)) + html_cell(run.config.began) + "</tr>\n";
  }
  return wide_table(rows);
}

struct SettingRow {
  std::string name;
  std::vector<std::string> values;  // of each run
  bool differs() const {
    return std::ranges::any_of(values, [&](const auto& value) { return value != values[0]; });
  }
};

// Everything that runs may have in common, but where their files are.
std::vector<SettingRow> setting_rows(const std::vector<RunRecord>& runs) {
  constexpr std::array kPlaces = {"--run", "--resume", "--save", "--trace", "--config", "--dry-run", "--profile"};
  std::vector<SettingRow> rows;
  const auto add = [&](std::string name, auto&& value) {
    SettingRow row{.name = std::move(name), .values = {}};
    for (const RunRecord& run : runs) row.values.push_back(value(run));
    rows.push_back(std::move(row));
  };
  for (const OptionRow& option : option_table()) {
    if (std::ranges::find(kPlaces, option.name) != kPlaces.end()) continue;
    add(option.name.substr(2), [&](const RunRecord& run) {
      const nlohmann::ordered_json value = option.get(run.config.settings);
      return value.is_null() ? "-" : value.is_string() ? value.get<std::string>() : value.dump();
    });
  }
  add("training images", [](const RunRecord& run) { return grouped(run.config.facts.training_images); });
  add("evaluated images",
      [](const RunRecord& run) { return grouped(run.config.facts.evaluated_images) + " " + run.evaluated(); });
  add("kernels", [](const RunRecord& run) { return run.config.kernels; });
  add("version", [](const RunRecord& run) { return run.config.version; });
  return rows;
}

std::string settings_tables(const std::vector<RunRecord>& runs, const std::vector<std::string>& names) {
  std::string different, same;
  for (const SettingRow& row : setting_rows(runs)) {
    if (!row.differs()) {
      if (row.values[0] != "-") same += "<tr>" + html_cell(row.name) + html_cell(row.values[0]) + "</tr>\n";
      continue;
    }
    different += "<tr>" + html_cell(row.name);
    for (const std::string& value : row.values) different += html_cell(value);
    different += "</tr>\n";
  }
  const std::string all = fmt::format("<table>{}</table>\n", same);
  if (runs.size() == 1) return "<h2>Settings</h2>\n" + all;
  std::vector<std::string> headings{"Setting"};
  headings.insert(headings.end(), names.begin(), names.end());
  std::string text = "<h2>Settings in which the runs differ</h2>\n";
  text += different.empty() ? "<p>None.</p>\n" : wide_table(heading_row(headings) + different);
  return text + "<details><summary>Settings that are the same in all</summary>\n" + all + "</details>\n";
}

// Which classes the networks take for which, where `convoy eval` has drawn that into the folder of the run; else how it
// would.
std::string confusions(const std::vector<RunRecord>& runs, const std::vector<std::string>& names) {
  std::string text = "<h2>Which classes are taken for which</h2>\n";
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::string png = read_file_if_there(runs[i].folder / kConfusionFile);
    if (png.starts_with("\x89PNG")) {
      text += png_figure(names[i], png);
    } else {
      const std::string folder = runs[i].folder.string();
      text += fmt::format("<p class=\"note\">{}: not drawn; <code>{}</code> does</p>\n", html_text(names[i]),
                          html_text(fmt::format("convoy eval --init {0} --confusion {1}", shell_word(folder),
                                                shell_word((runs[i].folder / kConfusionFile).string()))));
    }
  }
  return text;
}

std::string commands(const std::vector<RunRecord>& runs, const std::vector<std::string>& names) {
  std::string rows;
  for (size_t i = 0; i < runs.size(); ++i) {
    rows += fmt::format("<tr>{}<td><code>{}</code></td></tr>\n", html_cell(names[i]),
                        html_text(repeat_command(runs[i].config.settings)));
  }
  return "<h2>Again</h2>\n" + wide_table(rows);
}

}  // namespace

std::vector<std::string> names_of(const std::vector<RunRecord>& runs) {
  std::map<std::string, int> times;
  for (const RunRecord& run : runs) ++times[run.name()];
  std::vector<std::string> names;
  for (const RunRecord& run : runs) names.push_back(times[run.name()] == 1 ? run.name() : run.folder.string());
  return names;
}

std::string training_report_page(const std::vector<RunRecord>& runs, const std::vector<Picture>& pictures,
                                 const std::string& no_pictures) {
  const std::vector<std::string> names = names_of(runs);
  const std::string title = runs.size() == 1 ? names[0] : fmt::format("{} trainings", runs.size());
  std::string text = page_head(title) + fmt::format("<h1>{}</h1>\n", html_text(title));
  for (const RunRecord& run : runs) {
    if (!run.torn.empty()) text += fmt::format("<p class=\"note\">{}</p>\n", html_text(run.torn));
  }
  text += results_table(runs, names);
  if (!no_pictures.empty()) text += fmt::format("<p class=\"note\">No pictures: {}</p>\n", html_text(no_pictures));
  for (const Picture& picture : pictures) text += figure(picture);
  return text + confusions(runs, names) + settings_tables(runs, names) + commands(runs, names) +
         fmt::format("<p class=\"note\">Made by convoy {}.</p>\n</body></html>\n", CONVOY_VERSION);
}

}  // namespace convoy
