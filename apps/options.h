// The options of all subcommands, in explicit tables, that of trainings first: name, help, default, and the way from
// text to value and back.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "apps/settings.h"

namespace convoy {

struct OptionRow {
  std::string name;   // "--batch"; without dashes: that of an argument that stands by itself
  std::string value;  // what stands for the value in the help: "N", "on|off"; empty for an option without a value
  std::string group;  // heading in the help
  std::string help;
  std::function<void(Settings&, const std::string& text)> set;  // throws Error(usage) naming the option and the text
  std::function<nlohmann::ordered_json(const Settings&)> get;   // the value for config.json; null when unset
  bool default_shown = true;                                    // in the help; not where the data set decides
  bool many =
      false;  // an argument that is given any number of times; then `text` is all of them, each with a 0 byte behind it
};

// "\n  mnist    handwritten digits\n  cifar10  …" for a table of the libraries.
template <class Table>
std::string choices(const Table& table) {
  std::string text;
  for (const auto& row : table) text += fmt::format("\n  {:<14} {}", row.name, row.help);
  return text;
}

std::span<const OptionRow> option_table();             // of a training
std::span<const OptionRow> comparison_option_table();  // of a comparison alone
const OptionRow& find_option(const std::string& name);

// The defaults, and what was given; unlike resolve() nothing that follows from it.
Settings as_given(const GivenOptions& given);

}  // namespace convoy
