// The `convoy` command: the command line, and the one place where errors become a line and an exit code.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <system_error>
#include <vector>

#include "apps/command_table.h"
#include "apps/config_file.h"
#include "apps/help_text.h"
#include "tensor/cpu/parallel.h"
#include "tensor/error.h"
#include "tensor/kernels.h"

namespace convoy {
namespace {

class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override {
    const std::string text = CLI::Formatter::make_help(app, std::move(name), mode);
    return wrapped(CLI::detail::find_and_replace(text, "\n\n\n", "\n\n"), help_columns());
  }
};

// A command as CLI11 sees it. Options arrive as text; options.cpp makes values of them.
struct ParsedCommand {
  const Command* command = nullptr;
  CLI::App* app = nullptr;
  std::map<std::string, std::string> texts;
  std::map<std::string, std::vector<std::string>> lists;  // of options that are given any number of times
};

void add_option(ParsedCommand& parsed, const CommandOption& wanted) {
  const OptionRow& row = find_option(wanted.name);
  const std::string text = default_text(row), help = help_of(wanted);
  const auto add = [&]() -> CLI::Option* {
    if (row.many) return parsed.app->add_option(row.name, parsed.lists[row.name], help);
    std::string& given = parsed.texts[row.name];
    return row.value.empty() ? parsed.app->add_flag(row.name, given, help)
                             : parsed.app->add_option(row.name, given, help);
  };
  CLI::Option* option = add();
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

// Whether a shell has made several arguments of one list: "1, 2" or "1 ,2" without quotes.
bool is_rest_of_list(const CLI::App& app, const std::string& given) {
  if (given.starts_with(",")) return true;
  return std::ranges::any_of(app.get_options(), [](const CLI::Option* option) {
    return option->count() > 0 && option->results().back().ends_with(",");
  });
}

// The error about what CLI11 could not place. It lies with the command behind which it was typed, which need
// not be the innermost one.
Error unexpected_argument(const CLI::App& app) {
  const std::vector<std::string> unplaced = app.remaining(false);
  const std::vector<CLI::App*> typed = app.get_subcommands();
  if (unplaced.empty() && !typed.empty()) return unexpected_argument(*typed.front());
  // A "--" is harmless by itself, what follows it is not.
  const auto at =
      std::find_if(unplaced.begin(), unplaced.end(), [](const std::string& argument) { return argument != "--"; });
  std::string given = at == unplaced.end() ? "--" : *at;
  given = given.substr(0, given.find('='));
  const bool option = given.starts_with("-");
  if (!option && is_rest_of_list(app, given))
    return Error(ErrorKind::usage,
                 fmt::format("unknown argument '{}': a list with spaces has to be quoted; or leave them out", given));
  const std::string nearest = nearest_name(given, names_like(app, given));
  std::string hint = nearest.empty() ? "" : fmt::format(", did you mean '{}'?", nearest);
  if (option && !typed.empty() && typed.front()->get_option_no_throw(given) != nullptr)
    hint = fmt::format(", it belongs behind '{}'", typed.front()->get_name());
  return Error(ErrorKind::usage, fmt::format("unknown {} '{}'{} ('{} --help' lists them)",
                                             option                                              ? "option"
                                             : app.get_subcommands({}).empty() || !typed.empty() ? "argument"
                                                                                                 : "command",
                                             given, hint, full_name(app)));
}

// `given` and what the file of --config adds to it.
GivenOptions all_given(const GivenOptions& given, const Command& command) {
  if (!given.contains("--config")) return given;
  std::vector<std::string> options;
  for (const CommandOption& option : command.options) options.push_back(option.name);
  return with_config(given, command.name, options);
}

// The arguments, where "help train" is "train --help".
std::vector<const char*> arguments_of(int argc, char** argv) {
  std::vector<const char*> arguments(argv, argv + argc);
  if (argc > 1 && std::string_view(argv[1]) == "help") {
    arguments.erase(arguments.begin() + 1);
    arguments.push_back("--help");
  }
  return arguments;
}

int run(int argc, char** argv) {
  CLI::App app("Convoy trains convolutional networks.", "convoy");
  app.set_version_flag("--version", std::string("convoy ") + CONVOY_VERSION);
  app.footer(kExitCodes);
  app.require_subcommand(0, 1);
  app.formatter(std::make_shared<HelpFormatter>());
  app.get_formatter()->column_width(31);
  std::vector<ParsedCommand> commands(command_table().size());
  for (size_t i = 0; i < commands.size(); ++i) {
    ParsedCommand& parsed = commands[i];
    parsed.command = &command_table()[i];
    const std::string group = group_of(*parsed.command);
    CLI::App* parent = &app;
    if (!group.empty()) {
      const auto groups = app.get_subcommands([&](const CLI::App* child) { return child->get_name() == group; });
      parent = groups.empty() ? app.add_subcommand(group, help_of_group(group)) : groups.front();
      parent->require_subcommand(0, 1);
    }
    parsed.app = parent->add_subcommand(own_name(*parsed.command), parsed.command->help);
    parsed.app->footer(parsed.command->footer());
    for (const CommandOption& option : parsed.command->options) add_option(parsed, option);
  }

  try {
    const std::vector<const char*> arguments = arguments_of(argc, argv);
    app.parse(static_cast<int>(arguments.size()), arguments.data());
  } catch (const CLI::Success& help_or_version) {
    return app.exit(help_or_version);
  } catch (const CLI::ExtrasError&) {
    throw unexpected_argument(app);
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
    for (const auto& [name, texts] : parsed.lists) {
      for (const std::string& text : texts) given[name] += text + '\0';
    }
    kernels(Device{});  // a CONVOY_ISA that names none is told before anything else
    return parsed.command->run(all_given(given, *parsed.command));
  }
  const CLI::App& where = innermost(app);
  fail(ErrorKind::usage, "a command is missing after '{}', one of: {}", full_name(where),
       fmt::join(names_like(where, ""), ", "));
}

void check_thread_environment() {
  const char* const text = std::getenv("OMP_NUM_THREADS");
  if (text == nullptr || *text == 0) return;
  const std::string_view digits = text;
  int threads = 0;
  const auto [stopped, error] = std::from_chars(digits.data(), digits.data() + digits.size(), threads);
  CHECK(error == std::errc() && stopped == digits.data() + digits.size() && threads >= 1 && threads <= 1024,
        "OMP_NUM_THREADS: '{}' is not a whole number from 1 to 1024", digits);
}

// A file opened where a standard one is closed would get what is meant for that. The stand-ins refuse to be written.
void fill_closed_descriptors() {
  for (const int file : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(file, F_GETFD) < 0) open("/dev/null", O_RDONLY);  // the lowest free one: this
  }
}

// What was printed has to have arrived.
void check_output() {
  const bool lost = std::ferror(stdout) != 0;
  if (lost) std::fputc('\n', stdout);  // to be told once more why
  if (std::fflush(stdout) != 0) fail(ErrorKind::io, "standard output: cannot be written: {}", std::strerror(errno));
  if (lost) fail(ErrorKind::io, "standard output: could not be written");
}

}  // namespace
}  // namespace convoy

int main(int argc, char** argv) {
  const auto report = [](convoy::ErrorKind kind, const char* message) {
    fmt::print(stderr, "convoy: {}\n", message);
    return static_cast<int>(kind);
  };
  convoy::fill_closed_descriptors();
  try {
    convoy::check_thread_environment();
    convoy::limit_openmp_spinning(argv);
    prctl(PR_SET_NAME, "convoy");  // which the line above may have turned into "exe"
    const int exit_code = convoy::run(argc, argv);
    convoy::check_output();
    return exit_code;
  } catch (const convoy::Error& error) {
    return report(error.kind(), error.what());
  } catch (const std::bad_alloc&) {
    return report(convoy::ErrorKind::device, "out of memory");
  } catch (const std::system_error& error) {  // from fmt, which could not write
    return report(convoy::ErrorKind::io, error.what());
  } catch (const std::exception& error) {
    return report(convoy::ErrorKind::internal, error.what());
  }
}
