// `convoy completion`: what makes bash or zsh complete commands, options and their values. Written from the tables, so
// that it knows every option of this build. Interfaces: "Programmable Completion" in bash's manual, zshcompsys(1).
#include "apps/completion.h"

#include <fmt/format.h>

#include <map>
#include <sstream>

#include "apps/command_table.h"
#include "apps/commands.h"
#include "tensor/error.h"
#include "tensor/find_row.h"

namespace convoy {
namespace {

struct Word {
  std::string name, help;
};

// The names among `text`'s lines, as choices() writes them: two spaces, name, spaces, help.
std::vector<Word> choices_in(const std::string& text) {
  std::vector<Word> words;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("  ")) continue;
    std::istringstream parts(line);
    Word word;
    parts >> word.name >> std::ws;
    std::getline(parts, word.help);
    words.push_back(word);
  }
  return words;
}

// The values of an option that can be told beforehand.
std::vector<Word> values_of(const OptionRow& row) {
  if (row.value == "on|off") return {{"on", ""}, {"off", ""}};
  return choices_in(row.help);
}

enum class Kind { none, words, files, folders };

Kind kind_of(const OptionRow& row) {
  if (row.value == "DIR") return Kind::folders;
  if (row.value.find("FILE") != std::string::npos && values_of(row).empty()) return Kind::files;
  return values_of(row).empty() ? Kind::none : Kind::words;
}

std::vector<std::string> groups() {
  std::vector<std::string> names;
  for (const Command& command : command_table()) {
    const std::string group = group_of(command);
    if (!group.empty() && (names.empty() || names.back() != group)) names.push_back(group);
  }
  return names;
}

// The commands behind `group`: of the program itself, with its groups, for "".
std::vector<Word> commands_of(const std::string& group) {
  std::vector<Word> words;
  for (const Command& command : command_table()) {
    const std::string own_group = group_of(command);
    if (own_group == group)
      words.push_back({own_name(command), command.help});
    else if (group.empty() && (words.empty() || words.back().name != own_group))
      words.push_back({own_group, help_of_group(own_group)});
  }
  return words;
}

// What may stand behind a command: its options, and the values of an argument without a name.
std::vector<Word> options_of(const Command& command) {
  std::vector<Word> words;
  for (const CommandOption& option : command.options) {
    const OptionRow& row = find_option(option.name);
    const std::string help = help_of(option);
    if (row.name.starts_with("-")) {
      words.push_back({row.name, help.substr(0, help.find('\n'))});
    } else {
      for (const Word& value : values_of(row)) words.push_back(value);
    }
  }
  words.push_back({"--help", "what the command does, and its options"});
  return words;
}

// All options once, by name.
std::map<std::string, const OptionRow*> options() {
  std::map<std::string, const OptionRow*> rows;
  for (const Command& command : command_table()) {
    for (const CommandOption& option : command.options) {
      const OptionRow& row = find_option(option.name);
      if (row.name.starts_with("-") && !row.value.empty()) rows[row.name] = &row;
    }
  }
  return rows;
}

// --- bash ------------------------------------------------------------------------------------------------------------

std::string bash_words(const std::vector<Word>& words) {
  std::string text;
  for (const Word& word : words) text += (text.empty() ? "" : " ") + word.name;
  return text;
}

std::string bash() {
  std::string text =
      "# Completion of convoy for bash, as `convoy completion bash` writes it.\n"
      "_convoy() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} words= command=${COMP_WORDS[1]} depth=1\n"
      "  COMPREPLY=()\n"
      "  case $command in\n";
  for (const std::string& group : groups())
    text += fmt::format("    {}) depth=2; command=\"{} ${{COMP_WORDS[2]}}\" ;;\n", group, group);
  text +=
      "  esac\n"
      "  if [ \"$COMP_CWORD\" -le \"$depth\" ]; then\n"
      "    case $COMP_CWORD$command in\n";
  for (const std::string& group : groups())
    text += fmt::format("      \"2{} \"*) words='{}' ;;\n", group, bash_words(commands_of(group)));
  text += fmt::format("      *) words='{} --help --version' ;;\n    esac\n", bash_words(commands_of("")));
  text +=
      "  else\n"
      "    case ${COMP_WORDS[COMP_CWORD - 1]} in\n";
  for (const auto& [name, row] : options()) {
    const Kind kind = kind_of(*row);
    if (kind == Kind::words) text += fmt::format("      {}) words='{}' ;;\n", name, bash_words(values_of(*row)));
    if (kind == Kind::none) text += fmt::format("      {}) return ;;\n", name);
    if (kind == Kind::files || kind == Kind::folders) {
      text += fmt::format(
          "      {}) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -{} -- \"$current\"); return ;;\n", name,
          kind == Kind::files ? "f" : "d");
    }
  }
  text += "      *) case $command in\n";
  for (const Command& command : command_table())
    text += fmt::format("        '{}') words='{}' ;;\n", command.name, bash_words(options_of(command)));
  return text +
         "      esac ;;\n"
         "    esac\n"
         "  fi\n"
         "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
         "}\n"
         "complete -F _convoy convoy ./convoy\n";
}

// --- zsh -------------------------------------------------------------------------------------------------------------

// 'name:help' for _describe, in single quotes.
std::string zsh_words(const std::vector<Word>& words) {
  std::string text;
  for (const Word& word : words) {
    std::string item;
    for (const char c : word.name) item += c == ':' ? "\\:" : std::string(1, c);
    if (!word.help.empty()) item += ":";
    for (const char c : word.help) item += c == '\'' ? "'\\''" : std::string(1, c);
    text += (text.empty() ? "'" : " '") + item + "'";
  }
  return text;
}

std::string zsh() {
  std::string text =
      "#compdef convoy\n"
      "# Completion of convoy for zsh, as `convoy completion zsh` writes it.\n"
      "_convoy() {\n"
      "  local command=$words[2] depth=2\n"
      "  local -a list\n"
      "  case $command in\n";
  for (const std::string& group : groups())
    text += fmt::format("    {}) depth=3; command=\"{} $words[3]\" ;;\n", group, group);
  text +=
      "  esac\n"
      "  if (( CURRENT <= depth )); then\n"
      "    case $CURRENT$command in\n";
  for (const std::string& group : groups())
    text += fmt::format("      \"3{} \"*) list=({}) ;;\n", group, zsh_words(commands_of(group)));
  text += fmt::format("      *) list=({}) ;;\n    esac\n    _describe command list\n    return\n  fi\n",
                      zsh_words(commands_of("")));
  text += "  case $words[CURRENT-1] in\n";
  for (const auto& [name, row] : options()) {
    switch (kind_of(*row)) {
      case Kind::words:
        text += fmt::format("    {}) list=({}); _describe value list; return ;;\n", name, zsh_words(values_of(*row)));
        break;
      case Kind::files:
        text += fmt::format("    {}) _files; return ;;\n", name);
        break;
      case Kind::folders:
        text += fmt::format("    {}) _files -/; return ;;\n", name);
        break;
      case Kind::none:
        text += fmt::format("    {}) _message value; return ;;\n", name);
        break;
    }
  }
  text += "  esac\n  case $command in\n";
  for (const Command& command : command_table())
    text += fmt::format("    '{}') list=({}) ;;\n", command.name, zsh_words(options_of(command)));
  return text +
         "  esac\n  _describe option list\n}\nif [ \"$funcstack[1]\" = _convoy ]; then _convoy; else compdef _convoy "
         "convoy; fi\n";
}

constexpr ShellRow kShells[] = {
    {"bash", "source <(convoy completion bash)", bash},
    {"zsh", "convoy completion zsh > _convoy, in a folder of $fpath", zsh},
};

}  // namespace

std::span<const ShellRow> shell_table() { return kShells; }
const ShellRow& find_shell(std::string_view name) { return find_row("shell", name, kShells); }

int run_completion(const GivenOptions& given) {
  CHECK(given.contains("SHELL"), "completion: name the shell, bash or zsh");
  fmt::print("{}", find_shell(as_given(given).shell).script());
  return 0;
}

}  // namespace convoy
