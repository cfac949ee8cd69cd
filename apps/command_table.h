// The subcommands, in one explicit table: the command line, its help, the manual page and the completions of shells are
// made from it.
#pragma once

#include <string>
#include <vector>

#include "apps/options.h"

namespace convoy {

struct CommandOption {
  std::string name;       // of a row of the option tables
  std::string help = {};  // what it means here, where that is not what the row says
};

struct Command {
  std::string name;  // as it is typed: "data list"
  const char* help;
  std::vector<CommandOption> options;
  std::string (*footer)();
  int (*run)(const GivenOptions&);
};

const std::vector<Command>& command_table();

// "data list" is the command list of the group data; train is of none, "".
std::string group_of(const Command& command);
std::string own_name(const Command& command);

// What a group of commands is about: "data" -> "what there is to train on".
const char* help_of_group(const std::string& name);
// The default as the help shows it; empty where it shows none.
std::string default_text(const OptionRow& row);
std::string help_of(const CommandOption& option);

inline constexpr const char* kExitCodes =
    "Exit codes: 0 done, 1 defect in Convoy, 2 wrong usage, 3 bad or missing data or weights, 4 loss not finite, "
    "5 file cannot be written, 6 device missing or out of memory, 7 a rank has died or differs, 130 Ctrl-C, "
    "143 terminated, 138 SIGUSR1, 141 nobody reads the output (train and compare go on)\n";

}  // namespace convoy
