#include "apps/comparison_results.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tensor/error.h"

namespace convoy {
namespace {

using Json = nlohmann::json;

// The member whose name is `ending` behind "test_" or "validation_".
const Json& evaluated(const Json& object, const std::string& ending) {
  const auto test = object.find("test_" + ending);
  return test != object.end() ? *test : object.at("validation_" + ending);
}

// A count; throws Json::type_error for a number with a sign, a fraction or an exponent.
int64_t whole(const Json& number) { return static_cast<int64_t>(number.get_ref<const Json::number_unsigned_t&>()); }

void read_event(const Json& event, RunResult& result) {
  const std::string kind = event.at("event");
  if (kind == "step") {
    result.losses.push_back({whole(event.at("step")), event.at("loss")});
  } else if (kind == "epoch" && event.contains("compute_seconds")) {
    result.times = result.times.value_or(StepTimes{}) += {.copy = event.at("copy_seconds"),
                                                          .compute = event.at("compute_seconds"),
                                                          .exchange = event.at("exchange_seconds"),
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

void read_run(const std::filesystem::path& folder, RunResult& result) {
  std::filesystem::path path = folder / "metrics.jsonl";
  std::ifstream metrics(path);
  try {
    for (std::string line; std::getline(metrics, line);) read_event(Json::parse(line), result);
    if (!(result.seconds > 0)) fail(ErrorKind::data, "{}: is not of a whole run", path.string());
    path = folder / "config.json";
    std::ifstream file(path);
    const Json config = Json::parse(file);
    result.training_images = whole(config.at("training_images"));
    result.evaluated_images = whole(evaluated(config, "images"));
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
