#include "apps/run_config.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/options.h"
#include "apps/shallow_json.h"
#include "tensor/device.h"
#include "tensor/error.h"
#include "tensor/kernels.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// "--label-smoothing" is "label_smoothing".
std::string key_of(const OptionRow& row) {
  std::string key = row.name.substr(2);
  for (char& letter : key) letter = letter == '-' ? '_' : letter;
  return key;
}

// The others are no settings of the run, but tell where these come from, that there is to be none, or that it is watched.
bool is_setting(const OptionRow& row) {
  return row.name != "--resume" && row.name != "--config" && row.name != "--dry-run" && row.name != "--profile";
}

Json parse(const std::string& text, const std::string& where) {
  try {
    Json config = parse_shallow<Json>(text, ErrorKind::data, where);
    if (config.is_object()) return config;
  } catch (const Json::exception&) {
  }
  fail(ErrorKind::data, "{}: is not a JSON object", where);
}

// The member `key`, which has to be there and of type T.
template <class T>
T member(const Json& config, const std::string& key, const std::string& where) {
  try {
    const Json& value = config.at(key);
    // Else a fraction, or what 64 bits do not hold with a sign, would become some whole number.
    const bool fits = !std::is_same_v<T, int64_t> || (value.is_number_integer() && value.get<int64_t>() >= 0);
    if (fits) return value.get<T>();
  } catch (const Json::exception&) {
  }
  fail(ErrorKind::data, "{}: '{}' is missing, or no value of its kind", where, key);
}

}  // namespace

std::string config_text(const Settings& settings, const fs::path& run, const RunFacts& facts) {
  Json config{{"version", CONVOY_VERSION},
              {"kernels", kernels(current_stream().device).name},
              {"began", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)))}};
  for (const OptionRow& row : option_table()) {
    if (is_setting(row)) config[key_of(row)] = row.get(settings);
  }
  config["run"] = run.string();
  // So that it is found from any folder.
  if (const fs::path images = dataset_path(settings.dataset); !images.empty())
    config["dataset"] = "folder:" + fs::absolute(images).lexically_normal().string();
  config["training_images"] = facts.training_images;
  config[std::string(settings.evaluated()) + "_images"] = facts.evaluated_images;
  config["parameters"] = facts.parameters;
  if (facts.input) add_input(*facts.input, config);
  // A path may hold bytes that are no UTF-8.
  return config.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

RunConfig read_config(const fs::path& run) {
  const fs::path path = run / kConfigFile;
  const std::string where = path.string();
  std::ifstream in(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  if (!in) fail(ErrorKind::data, "{}: cannot be read; is {} the folder of a run?", where, run.string());

  RunConfig result = parse_config(bytes.str(), where);
  result.settings.run = run;
  return result;
}

RunConfig parse_config(std::string text, const std::string& where) {
  RunConfig result{.text = std::move(text), .settings = {}, .version = {}, .kernels = {}, .began = {}, .facts = {}};
  const Json config = parse(result.text, where);
  for (const OptionRow& row : option_table()) {
    const auto value = config.find(key_of(row));
    if (!is_setting(row) || value == config.end() || value->is_null()) continue;  // not set
    try {
      if (value->is_structured()) fail(ErrorKind::usage, "{}: is {}", row.name, value->dump());
      row.set(result.settings, value->is_string() ? value->get<std::string>() : value->dump());
    } catch (const Error& error) {
      fail(ErrorKind::data, "{}: {}", where, printable(error.what()));
    }
  }
  result.version = member<std::string>(config, "version", where);
  result.kernels = member<std::string>(config, "kernels", where);
  for (const char* key : {"model", "dataset"}) member<std::string>(config, key, where);
  for (const char* key : {"threads", "ranks", "replicas", "shards"}) member<int64_t>(config, key, where);
  result.facts.training_images = member<int64_t>(config, "training_images", where);
  if (result.facts.training_images == 0)
    fail(ErrorKind::data, "{}: 'training_images' is 0, nothing was trained on", where);
  result.facts.evaluated_images = member<int64_t>(config, result.settings.evaluated() + std::string("_images"), where);
  if (config.contains("began")) result.began = member<std::string>(config, "began", where);
  if (config.contains("parameters")) result.facts.parameters = member<int64_t>(config, "parameters", where);
  result.facts.input = read_input(config, where);
  return result;
}

void check_same_config(const std::string& config, const fs::path& run, const std::string& other,
                       const std::string& where) {
  const std::string path = (run / kConfigFile).string();
  const Json mine = parse(config, path), theirs = parse(other, where);
  const auto text = [](const Json& object, const std::string& key) {
    return object.contains(key) ? object.at(key).dump() : std::string("not there");
  };
  for (const Json& keys : {mine, theirs}) {
    for (const auto& [key, value] : keys.items()) {
      if (text(mine, key) != text(theirs, key))
        fail(ErrorKind::data, "{}: '{}' is {}, but {} for {}; a run goes on with the settings that it began with", path,
             key, text(mine, key), text(theirs, key), where);
    }
  }
}

}  // namespace convoy
