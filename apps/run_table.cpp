#include "apps/run_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "apps/letters.h"
#include "apps/number_text.h"
#include "apps/run_folder.h"
#include "tensor/error.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

struct Column {
  std::string heading;
  int rank;  // those with the largest go first when space is short
  bool number;
  std::vector<std::string> cells;
  size_t width() const {
    int64_t most = letters_of(heading);
    for (const std::string& cell : cells) most = std::max(most, letters_of(cell));
    return static_cast<size_t>(most);
  }
};

constexpr size_t kGap = 2;
constexpr int64_t kModelLetters = 24;

// "2026-11-24 09:30" of "2026-11-24T09:30:00Z".
std::string minute_of(const std::string& began) {
  return began.size() < 16 ? "-" : began.substr(0, 10) + " " + began.substr(11, 5);
}

std::string state_of(const ListedRun& run) { return run.record ? state_name(run.record->state) : "damaged"; }

// On which images a run was evaluated: only there can accuracies be compared.
std::string evaluated_on(const RunRecord& record) {
  const RunConfig& config = record.config;
  return fmt::format("{} {} {}", config.settings.dataset, record.evaluated(), config.facts.evaluated_images);
}

void mark_best(std::vector<ListedRun>& runs) {
  std::map<std::string, ListedRun*> best;
  for (ListedRun& run : runs) {
    if (!run.record || run.record->evaluation() == nullptr) continue;
    ListedRun*& at = best[evaluated_on(*run.record)];
    if (at == nullptr || run.record->evaluation()->accuracy > at->record->evaluation()->accuracy) at = &run;
  }
  for (const auto& [images, run] : best) run->best = true;
}

std::vector<Column> columns_of(const std::vector<ListedRun>& runs) {
  std::vector<Column> columns{{"name", 0, false, {}}, {"began (UTC)", 8, false, {}}, {"model", 4, false, {}},
                              {"data", 3, false, {}}, {"strategy", 7, false, {}},    {"epochs", 5, true, {}},
                              {"steps", 6, true, {}}, {"accuracy", 1, true, {}},     {"state", 2, false, {}}};
  for (const ListedRun& run : runs) {
    std::vector<std::string> cells(columns.size(), "-");
    cells[0] = run.name;
    if (const RunRecord* const record = run.record ? &*run.record : nullptr) {
      const Settings& settings = record->config.settings;
      cells[1] = minute_of(record->config.began);
      cells[2] = shortened(one_line(settings.model), kModelLetters);
      cells[3] = dataset_label(settings.dataset);
      cells[4] = settings.strategy;
      cells[5] = fmt::format("{}/{}", record->epochs_done(), record->planned_epochs());
      cells[6] = std::to_string(record->steps_done());
      if (record->evaluation() != nullptr)
        cells[7] = fmt::format("{:.2f} %{}", record->evaluation()->accuracy, run.best ? " *" : "  ");
    }
    cells[8] = state_of(run);
    for (size_t i = 0; i < columns.size(); ++i) columns[i].cells.push_back(cells[i]);
  }
  return columns;
}

size_t width_of(const std::vector<Column>& columns) {
  size_t width = 0;
  for (const Column& column : columns) width += column.width() + kGap;
  return width - kGap;
}

// Drops columns until the rest fits, at last shortening names.
void fit(std::vector<Column>& columns, size_t wanted) {
  const auto rank = [](const Column& column) { return column.rank; };
  while (columns.size() > 3 && width_of(columns) > wanted) columns.erase(std::ranges::max_element(columns, {}, rank));
  const size_t width = width_of(columns), longest = columns[0].width();
  if (width <= wanted) return;
  const size_t room = longest > width - wanted + 8 ? longest - (width - wanted) : 8;
  for (std::string& cell : columns[0].cells) cell = shortened(cell, static_cast<int64_t>(room));
}

std::string line_of(const std::vector<Column>& columns, const std::function<const std::string&(const Column&)>& cell) {
  std::string line;
  for (const Column& column : columns)
    line += fmt::format(fmt::runtime(column.number ? "{:>{}}{:{}}" : "{:<{}}{:{}}"), cell(column), column.width(), "",
                        kGap);
  return line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
}

}  // namespace

std::vector<ListedRun> list_runs(const fs::path& folder) {
  std::vector<ListedRun> runs;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (!is_run_folder(entry.path())) continue;
    ListedRun run{.name = entry.path().filename().string(), .folder = entry.path(), .record = {}, .damage = {}};
    try {
      run.record = read_run_record(entry.path(), WithSteps::no);
    } catch (const Error& error) {
      run.damage = error.what();
    }
    runs.push_back(std::move(run));
  }
  if (error) fail(ErrorKind::data, "{}: cannot be read: {}", folder.string(), error.message());
  std::ranges::sort(runs, {}, [](const ListedRun& run) {
    return std::pair(run.record ? run.record->config.began : std::string(), run.name);
  });
  mark_best(runs);
  return runs;
}

std::string run_table(const std::vector<ListedRun>& runs, std::optional<size_t> columns) {
  std::vector<Column> table = columns_of(runs);
  if (columns) fit(table, *columns);
  std::string text = line_of(table, [](const Column& column) -> const std::string& { return column.heading; });
  for (size_t i = 0; i < runs.size(); ++i)
    text += line_of(table, [i](const Column& column) -> const std::string& { return column.cells[i]; });
  return text;
}

std::string run_json(const std::vector<ListedRun>& runs) {
  using Json = nlohmann::ordered_json;
  Json list = Json::array();
  for (const ListedRun& run : runs) {
    Json object{{"name", run.name}, {"folder", run.folder.string()}, {"state", state_of(run)}};
    if (!run.damage.empty()) object["message"] = run.damage;
    if (run.record) {
      const RunRecord& record = *run.record;
      const Settings& settings = record.config.settings;
      if (record.state == RunState::failed) object["message"] = record.end->message;
      object["began"] = record.config.began.empty() ? Json() : Json(record.config.began);
      object["model"] = settings.model;
      object["dataset"] = settings.dataset;
      object["strategy"] = settings.strategy;
      object["epochs_done"] = record.epochs_done();
      object["epochs"] = record.planned_epochs();
      object["steps_done"] = record.steps_done();
      object["evaluated_on"] = record.evaluated();
      object["loss"] = record.evaluation() == nullptr ? Json() : Json(record.evaluation()->loss);
      object["accuracy_percent"] = record.evaluation() == nullptr ? Json() : Json(record.evaluation()->accuracy);
      object["best"] = run.best;
    }
    list.push_back(std::move(object));
  }
  // A name may hold bytes that are no UTF-8.
  return list.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace convoy
