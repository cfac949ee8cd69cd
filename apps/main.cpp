// The `convoy` command: the table of subcommands, the command line, and the one place where errors become a
// line and an exit code.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <new>
#include <vector>

#include "apps/commands.h"
#include "apps/options.h"
#include "apps/recipes.h"
#include "layers/models.h"
#include "tensor/cpu/parallel.h"
#include "tensor/error.h"

namespace convoy {
namespace {

constexpr const char* kExitCodes =
    "Exit codes: 0 done, 1 defect in Convoy, 2 wrong usage, 3 bad or missing data or weights, 4 loss not "
    "finite,\n"
    "  5 file cannot be written, 6 device missing or out of memory, 130 Ctrl-C, 143 terminated\n";

std::string train_footer() { return recipe_help() + "\n" + description_help(); }
std::string no_footer() { return ""; }

struct Command {
  std::string name;  // "data list" is the command list of the group data
  const char* help;
  std::vector<std::string> options;  // rows of the option table
  std::string (*footer)();
  int (*run)(const GivenOptions&);
};

std::vector<std::string> all_options() {
  std::vector<std::string> names;
  for (const OptionRow& row : option_table()) names.push_back(row.name);
  return names;
}

const std::vector<Command>& command_table() {
  static const std::vector<Command> table = {
      {"train", "train a model", all_options(), train_footer, run_train},
      {"eval",
       "loss and accuracy of saved weights",
       {"--model", "--init", "--dataset", "--data", "--holdout", "--batch", "--seed", "--threads", "--workers"},
       no_footer,
       run_eval},
      {"summary",
       "the layers of a model: shapes, parameters, multiply-adds",
       {"--model", "--dataset"},
       description_help,
       run_summary},
      {"info", "this machine and this build", {}, no_footer, run_info},
      {"data list", "the data sets, and where they are", {"--data"}, no_footer, run_data_list},
  };
  return table;
}

// A command as CLI11 sees it. Options arrive as text; options.cpp makes values of them.
struct ParsedCommand {
  const Command* command = nullptr;
  CLI::App* app = nullptr;
  std::map<std::string, std::string> texts;
};

void add_option(ParsedCommand& parsed, const OptionRow& row) {
  const nlohmann::ordered_json value = row.get(Settings{});
  const std::string text = value.is_null() ? "" : value.is_string() ? value.get<std::string>() : value.dump();
  CLI::Option* option = parsed.app->add_option(row.name, parsed.texts[row.name], row.help);
  option->option_text(row.value + (text.empty() ? "" : " [" + text + "]"))->group(row.group);
}

// Names that could stand where `given` stands, for the error about it.
std::vector<std::string> names_like(const CLI::App& app, const std::string& given) {
  std::vector<std::string> names;
  if (given.starts_with("-")) {
    for (const CLI::Option* option : app.get_options()) names.push_back(option->get_name());
  } else {
    for (const CLI::App* child : app.get_subcommands([](const CLI::App*) { return true; }))
      names.push_back(child->get_name());
  }
  return names;
}

// The innermost command that was typed.
const CLI::App& innermost(const CLI::App& app) {
  const std::vector<CLI::App*> typed = app.get_subcommands();
  return typed.empty() ? app : innermost(*typed.front());
}

// "convoy train", as typed.
std::string full_name(const CLI::App& app) {
  return app.get_parent() == nullptr ? app.get_name() : full_name(*app.get_parent()) + " " + app.get_name();
}

Error unexpected_argument(const CLI::App& app, std::string given) {
  given = given.substr(0, given.find('='));
  const bool option = given.starts_with("-");
  const std::string nearest = nearest_name(given, names_like(app, given));
  return Error(ErrorKind::usage,
               fmt::format("unknown {} '{}'{} ('{} --help' lists them)",
                           option                            ? "option"
                           : app.get_subcommands({}).empty() ? "argument"
                                                             : "command",
                           given, nearest.empty() ? "" : fmt::format(", did you mean '{}'?", nearest), full_name(app)));
}

int run(int argc, char** argv) {
  CLI::App app("Convoy trains convolutional networks.", "convoy");
  app.set_version_flag("--version", std::string("convoy ") + CONVOY_VERSION);
  app.footer(kExitCodes);
  app.get_formatter()->column_width(34);
  std::vector<ParsedCommand> commands(command_table().size());
  for (size_t i = 0; i < commands.size(); ++i) {
    ParsedCommand& parsed = commands[i];
    parsed.command = &command_table()[i];
    const std::string& name = parsed.command->name;
    const size_t space = name.find(' ');
    CLI::App* parent = &app;
    if (space != std::string::npos) parent = app.add_subcommand(name.substr(0, space), "what there is to train on");
    parsed.app = parent->add_subcommand(name.substr(space + 1), parsed.command->help);
    parsed.app->footer(parsed.command->footer());
    for (const std::string& option : parsed.command->options) add_option(parsed, find_option(option));
  }

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help_or_version) {
    return app.exit(help_or_version);
  } catch (const CLI::ExtrasError&) {
    throw unexpected_argument(innermost(app), innermost(app).remaining().front());
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string text = error.what();
    fail(ErrorKind::usage, "{}: takes exactly one value, and is given once", text.substr(0, text.find(':')));
  } catch (const CLI::ParseError& error) {
    fail(ErrorKind::usage, "{}", error.what());
  }
  for (const ParsedCommand& parsed : commands) {
    if (!parsed.app->parsed()) continue;
    GivenOptions given;
    for (const auto& [name, text] : parsed.texts) {
      if (parsed.app->count(name) > 0) given[name] = text;
    }
    return parsed.command->run(given);
  }
  const CLI::App& where = innermost(app);
  fail(ErrorKind::usage, "a command is missing after '{}', one of: {}", full_name(where),
       fmt::join(names_like(where, ""), ", "));
}

}  // namespace
}  // namespace convoy

int main(int argc, char** argv) {
  convoy::limit_openmp_spinning(argv);
  const auto report = [](convoy::ErrorKind kind, const char* message) {
    fmt::print(stderr, "convoy: {}\n", message);
    return static_cast<int>(kind);
  };
  try {
    return convoy::run(argc, argv);
  } catch (const convoy::Error& error) {
    return report(error.kind(), error.what());
  } catch (const std::bad_alloc&) {
    return report(convoy::ErrorKind::device, "out of memory");
  } catch (const std::exception& error) {
    return report(convoy::ErrorKind::internal, error.what());
  }
}
