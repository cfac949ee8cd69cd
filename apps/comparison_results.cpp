#include "apps/comparison_results.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tensor/error.h"

namespace convoy {
namespace {

using Json = nlohmann::json;

// The member whose name is `ending` behind "test_" or "validation_".
double evaluated(const Json& event, const std::string& ending) {
  const auto test = event.find("test_" + ending);
  return (test != event.end() ? *test : event.at("validation_" + ending)).get<double>();
}

void read_event(const Json& event, RunResult& result) {
  const std::string kind = event.at("event");
  if (kind == "step") {
    result.losses.push_back({event.at("step"), event.at("loss")});
  } else if (kind == "epoch" && event.contains("compute_seconds")) {
    result.times = result.times.value_or(StepTimes{}) += {.copy = event.at("copy_seconds"),
                                                          .compute = event.at("compute_seconds"),
                                                          .reduce = event.at("reduce_seconds"),
                                                          .communicate = event.at("communicate_seconds"),
                                                          .update = event.at("update_seconds")};
  } else if (kind == "summary") {
    result.seconds = event.at("seconds");
    result.samples_per_second = event.at("samples_per_second");
    result.loss = evaluated(event, "loss");
    result.accuracy = evaluated(event, "accuracy");
  }
}

}  // namespace

void read_metrics(const std::filesystem::path& folder, RunResult& result) {
  const std::filesystem::path path = folder / "metrics.jsonl";
  std::ifstream file(path);
  try {
    for (std::string line; std::getline(file, line);) read_event(Json::parse(line), result);
  } catch (const Json::exception& error) {
    fail(ErrorKind::data, "{}: is not what convoy train writes: {}", path.string(), error.what());
  }
  if (!(result.seconds > 0)) fail(ErrorKind::data, "{}: is not of a whole run", path.string());
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
