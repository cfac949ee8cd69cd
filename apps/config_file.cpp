#include "apps/config_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "apps/options.h"
#include "apps/shallow_json.h"
#include "tensor/error.h"

// toml++ 3.0 takes for granted what it has not checked of a malformed file, and says so in assertions: here they are errors, in
// every build.
namespace {
struct MalformedToml {};
[[noreturn]] void throw_malformed() { throw MalformedToml(); }
}  // namespace
#pragma push_macro("NDEBUG")
#undef NDEBUG
#define TOML_ASSERT(condition) ((condition) ? void() : throw_malformed())
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

namespace convoy {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// One setting as the file has it. `where` is "small.toml:3".
struct Entry {
  std::string key, text, where;
  bool is_boolean = false;
  std::string fault = {};  // what keeps it from being a setting
};

constexpr const char* kSection = "is a section; all settings stand in one list, without any";
constexpr const char* kNoValue = "is neither text nor a number nor true or false";

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  CHECK(in && !fs::is_directory(path), "--config {}: cannot be read", path.string());
  return bytes.str();
}

Entry entry_of(const std::string& path, const toml::key& key, const toml::node& node) {
  Entry entry{.key = std::string(key.str()),
              .text = {},
              .where = fmt::format("{}:{}", path, key.source().begin.line),
              .is_boolean = node.is_boolean()};
  if (const auto* text = node.as_string()) {
    entry.text = text->get();
  } else if (const auto* number = node.as_integer()) {
    entry.text = std::to_string(number->get());
  } else if (const auto* real = node.as_floating_point()) {
    entry.text = fmt::format("{}", real->get());
  } else if (const auto* boolean = node.as_boolean()) {
    entry.text = boolean->get() ? "true" : "false";
  } else {
    entry.fault = node.is_table() ? kSection : kNoValue;
  }
  return entry;
}

std::vector<Entry> toml_entries(const std::string& path, const std::string& text) {
  try {
    std::vector<std::pair<unsigned, Entry>> placed;
    for (const auto& [key, node] : toml::parse(text))
      placed.emplace_back(key.source().begin.line, entry_of(path, key, node));
    std::ranges::stable_sort(placed, {}, [](const auto& one) { return one.first; });
    std::vector<Entry> entries;
    for (auto& [line, entry] : placed) entries.push_back(std::move(entry));
    return entries;
  } catch (const toml::parse_error& error) {
    const toml::source_position at = error.source().begin;
    fail(ErrorKind::usage, "{}:{}: column {}: {}", path, at.line, at.column, error.description());
  } catch (const MalformedToml&) {
    fail(ErrorKind::usage, "{}: this is no TOML", path);
  }
}

// What a run has met, or what was its own.
bool left_out(const std::string& key, const std::string& command) {
  constexpr std::array facts = {"version",     "kernels",
                                "began",       "training_images",
                                "test_images", "validation_images",
                                "parameters",  "image",
                                "mean",        "std",
                                "classes",     "run",
                                "save",        "trace",
                                "threads"};
  // An evaluation is of the weights that came out of the run, not of those that it began with.
  return std::ranges::find(facts, key) != facts.end() || (key == "init" && command == "eval");
}

std::vector<Entry> json_entries(const std::string& path, const std::string& text, const std::string& command) {
  const auto line_of = [&](size_t place) {
    return 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(std::min(place, text.size())), '\n');
  };
  Json config;
  try {
    config = parse_shallow<Json>(text, ErrorKind::usage, path);
  } catch (const Json::parse_error& error) {
    fail(ErrorKind::usage, "{}:{}: this is no JSON", path, line_of(error.byte));
  } catch (const Json::exception&) {  // a number that 64 bits do not hold
    fail(ErrorKind::usage, "{}: is not a JSON object of settings", path);
  }
  CHECK(config.is_object(), "{}:1: is no JSON object, as the config.json of a run is", path);
  std::vector<Entry> entries;
  for (const auto& [key, value] : config.items()) {
    if (value.is_null() || left_out(key, command)) continue;  // null: was not set
    entries.push_back({.key = key,
                       .text = value.is_string() ? value.get<std::string>() : value.dump(),
                       .where = fmt::format("{}:{}", path, line_of(text.find('"' + key + "\":"))),
                       .is_boolean = value.is_boolean(),
                       .fault = value.is_structured() ? kNoValue : ""});
  }
  return entries;
}

// The option that `entry` sets, "--batch". `known`: all that the file may set.
std::string option_of(const Entry& entry, const std::vector<std::string>& known) {
  std::string name = entry.key;
  std::ranges::replace(name, '_', '-');
  if (std::ranges::find(known, name) == known.end()) {
    const std::string nearest = nearest_name(name, known);
    const std::string hint = nearest.empty() ? "" : fmt::format(", did you mean '{}'?", nearest);
    CHECK(entry.fault.empty(), "{}: '{}' {}{}", entry.where, entry.key, entry.fault, hint);
    fail(ErrorKind::usage, "{}: unknown setting '{}'{}", entry.where, entry.key, hint);
  }
  CHECK(entry.fault.empty(), "{}: '{}' {}", entry.where, entry.key, entry.fault);
  return "--" + name;
}

// The text that the option would have on the command line; nothing for a flag that is not raised.
std::optional<std::string> option_text(const Entry& entry, const OptionRow& row) {
  if (row.value.empty()) {
    CHECK(entry.is_boolean, "{}: '{}' is neither true nor false", entry.where, entry.key);
    return entry.text == "true" ? std::optional(entry.text) : std::nullopt;
  }
  std::string text = entry.text;
  if (entry.is_boolean && row.value == "on|off") text = text == "true" ? "on" : "off";
  try {
    Settings unused;
    row.set(unused, text);
  } catch (const Error& error) {
    fail(ErrorKind::usage, "{}: {}", entry.where, error.what());
  }
  return text;
}

// What a file may set: the options of a training, whoever reads it, and those of the command.
std::vector<std::string> known_keys(const std::vector<std::string>& options) {
  std::vector<std::string> names = options, keys;
  for (const OptionRow& row : option_table()) names.push_back(row.name);
  for (const std::string& name : names) {
    if (name != "--config" && name != "--resume") keys.push_back(name.substr(2));
  }
  return keys;
}

}  // namespace

GivenOptions with_config(const GivenOptions& given, const std::string& command,
                         const std::vector<std::string>& options) {
  CHECK(!given.contains("--resume"),
        "--config: cannot be given with --resume, a run goes on with the settings that it began with");
  GivenOptions typed = given;
  const fs::path path = typed.extract("--config").mapped();
  CHECK(!path.empty(), "--config: the path is empty");
  const std::string type = path.extension().string();
  CHECK(type == ".toml" || type == ".json",
        "--config {}: its name ends neither in .toml nor, as the config.json of a run, in .json", path.string());
  const bool earlier_run = type == ".json";
  const std::string text = read(path);
  GivenOptions in_file;
  try {
    const std::vector<Entry> entries =
        earlier_run ? json_entries(path.string(), text, command) : toml_entries(path.string(), text);
    const std::vector<std::string> known = known_keys(options);
    for (const Entry& entry : entries) {
      const std::string option = option_of(entry, known);
      CHECK(!in_file.contains(option), "{}: {} is set twice", entry.where, entry.key);
      if (const std::optional<std::string> value = option_text(entry, find_option(option))) in_file[option] = *value;
    }
  } catch (const Error& error) {
    fail(error.kind(), "{}", printable(error.what()));  // which may quote the file
  }
  GivenOptions all = typed;
  if (earlier_run) {
    all = with_earlier(typed, in_file);
  } else {
    all.insert(in_file.begin(), in_file.end());
  }
  std::erase_if(all, [&](const auto& one) {
    return !typed.contains(one.first) && std::ranges::find(options, one.first) == options.end();
  });
  return all;
}

}  // namespace convoy
