#include "apps/repeat_command.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/options.h"
#include "apps/shell_word.h"
#include "parallel/strategy.h"
#include "tensor/error.h"

namespace convoy {
namespace {

constexpr std::array kLeftOut = {"--data",  "--threads",          "--workers", "--log-every", "--run", "--plots",
                                 "--trace", "--checkpoint-every", "--keep",    "--resume",    "--save"};

// What the options given so far come to; nothing where they make sense only with those to follow.
std::optional<Settings> settings_of(const GivenOptions& given) {
  try {
    return resolve(given);
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

std::string repeat_command(const Settings& settings) {
  GivenOptions given{{"--dataset", settings.dataset}, {"--model", settings.model}};
  std::string command =
      fmt::format("convoy train --dataset {} --model {}", shell_word(settings.dataset), shell_word(settings.model));
  const StrategyRow& strategy = find_strategy(settings.strategy);
  Settings until_now;
  for (const OptionRow& row : option_table()) {
    if (std::ranges::find(kLeftOut, row.name) != kLeftOut.end()) continue;
    until_now = settings_of(given).value_or(until_now);
    const nlohmann::ordered_json wanted = row.get(settings);
    // How many take part is otherwise decided by the machine.
    const bool told = (row.name == "--ranks" && strategy.ranks) || (row.name == "--replicas" && strategy.replicas);
    if (wanted.is_null() || (wanted == row.get(until_now) && !told)) continue;
    const std::string text = wanted.is_string() ? wanted.get<std::string>() : wanted.dump();
    given[row.name] = text;
    command += fmt::format(" {} {}", row.name, shell_word(text));
  }
  return command;
}

}  // namespace convoy
