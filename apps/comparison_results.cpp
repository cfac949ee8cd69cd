#include "apps/comparison_results.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/json_count.h"
#include "apps/log_line.h"
#include "apps/run_config.h"
#include "tensor/error.h"

namespace convoy {
namespace {

using Json = nlohmann::json;

void add(const LogLine& line, RunResult& result) {
  if (const auto* const step = std::get_if<LoggedStep>(&line)) result.losses.push_back({step->step, step->loss});
  const auto* const epoch = std::get_if<LoggedEpoch>(&line);
  if (epoch != nullptr && epoch->times) result.times = result.times.value_or(StepTimes{}) += *epoch->times;
  const auto* const end = std::get_if<LoggedEnd>(&line);
  if (end == nullptr || !end->evaluation) return;
  result.seconds = end->seconds;
  result.samples_per_second = end->samples_per_second;
  result.loss = end->evaluation->loss;
  result.accuracy = end->evaluation->accuracy;
}

}  // namespace

void read_run(const std::filesystem::path& folder, RunResult& result) {
  const std::string log = (folder / kMetricsFile).string();
  std::ifstream metrics(log);
  int64_t number = 0;
  for (std::string line; std::getline(metrics, line);)
    add(parse_log_line(line, fmt::format("{}:{}", log, ++number)), result);
  if (!(result.seconds > 0)) fail(ErrorKind::data, "{}: is not of a whole run", log);
  const std::filesystem::path path = folder / kConfigFile;
  try {
    std::ifstream file(path);
    const Json config = Json::parse(file);
    result.training_images = whole(config.at("training_images"));
    result.evaluated_images = whole(config.at(config.contains("test_images") ? "test_images" : "validation_images"));
  } catch (const Json::exception& error) {
    fail(ErrorKind::data, "{}: is not what convoy train writes: {}", path.string(), printable(error.what()));
  }
}

std::string failure_message(const std::string& error_output) {
  constexpr std::string_view kPrefix = "convoy: ";
  std::istringstream lines(error_output);
  std::string told, last;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(kPrefix)) told = line.substr(kPrefix.size());
    if (!line.empty()) last = line;
  }
  return told.empty() ? last : told;
}

}  // namespace convoy
