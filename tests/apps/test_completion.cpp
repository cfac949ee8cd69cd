// What shells complete and what the manual page tells: made from the tables, so that every option is there.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "apps/command_table.h"
#include "tests/apps/run_convoy.h"

namespace convoy {
namespace {

std::string output_of(const std::string& command) {
  FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return "cannot run " + command;
  std::string output;
  std::array<char, 4096> buffer{};
  for (size_t n = 0; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) output.append(buffer.data(), n);
  pclose(pipe);
  return output;
}

// What bash offers behind these words, the last of which is being typed.
std::set<std::string> completions(const std::vector<std::string>& words) {
  const TemporaryFolder folder;
  std::ofstream(folder / "script") << run_convoy(folder, {"completion", "bash"}).out;
  std::string list;
  for (const std::string& word : words) list += "'" + word + "' ";
  const std::string command = "cd '" + folder.path().string() +
                              "' && mkdir -p runs && bash -c \"source ./script; COMP_WORDS=(" + list +
                              "); COMP_CWORD=" + std::to_string(words.size() - 1) +
                              "; compopt() { :; }; _convoy; printf '%s\\n' \\\"\\${COMPREPLY[@]}\\\"\" 2>&1";
  std::set<std::string> offered;
  std::istringstream lines(output_of(command));
  for (std::string line; std::getline(lines, line);) offered.insert(line);
  return offered;
}

using Words = std::set<std::string>;

TEST(completion, of_bash_offers_commands_options_and_values) {
  EXPECT_EQ(completions({"convoy", "tr"}), Words{"train"});
  EXPECT_EQ(completions({"convoy", "data", "f"}), Words{"fetch"});
  EXPECT_EQ(completions({"convoy", "train", "--opt"}), Words{"--optimizer"});
  EXPECT_EQ(completions({"convoy", "train", "--lr", "0.1", "--optimizer", "ad"}), (Words{"adam", "adamw"}));
  EXPECT_EQ(completions({"convoy", "train", "--augment", ""}), (Words{"on", "off"}));
  EXPECT_EQ(completions({"convoy", "eval", "--data", "ru"}), Words{"runs"});
  EXPECT_EQ(completions({"convoy", "eval", "--init", "scr"}), Words{"script"});
  EXPECT_EQ(completions({"convoy", "train", "--lr", ""}), Words{""});
  EXPECT_EQ(completions({"convoy", "completion", "z"}), Words{"zsh"});
}

TEST(completion, of_bash_offers_every_command) {
  const Words first = completions({"convoy", ""});
  for (const Command& command : command_table()) {
    const size_t space = command.name.find(' ');
    EXPECT_TRUE(first.contains(command.name.substr(0, space))) << command.name;
    std::vector<std::string> words{"convoy", command.name.substr(0, space)};
    if (space != std::string::npos) words.push_back(command.name.substr(space + 1));
    words.push_back("--");
    const Words options = completions(words);
    for (const CommandOption& option : command.options) {
      if (!option.name.starts_with("-")) continue;
      EXPECT_TRUE(options.contains(option.name)) << command.name << " " << option.name;
    }
  }
}

TEST(completion, of_zsh_is_a_script_that_zsh_reads) {
  if (std::system("command -v zsh >/dev/null") != 0) GTEST_SKIP() << "no zsh here";
  const TemporaryFolder folder;
  std::ofstream(folder / "_convoy") << run_convoy(folder, {"completion", "zsh"}).out;
  EXPECT_EQ(output_of("zsh -n '" + (folder / "_convoy").string() + "' 2>&1"), "");
}

TEST(completion, wants_a_shell_that_it_knows) {
  const TemporaryFolder folder;
  EXPECT_EQ(run_convoy(folder, {"completion"}).error, "convoy: completion: name the shell, bash or zsh\n");
  const Outcome outcome = run_convoy(folder, {"completion", "powershell"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.error, "convoy: unknown shell 'powershell'. Known: bash, zsh\n");
}

TEST(manual, tells_every_command_and_option) {
  const TemporaryFolder folder;
  const std::string page = run_convoy(folder, {"manual"}).out;
  const auto has = [&page](std::string text) {
    for (size_t at = 0; (at = text.find('-', at)) != std::string::npos; at += 2) text.insert(at, "\\");
    return page.find(text) != std::string::npos;
  };
  for (const Command& command : command_table()) {
    EXPECT_TRUE(has(".SS convoy " + command.name + "\n"));
    for (const CommandOption& option : command.options) EXPECT_TRUE(has("\\fB" + option.name + "\\fR")) << option.name;
  }
  // No line of text begins with a request by accident, and every table that opens is closed.
  size_t opened = 0, closed = 0;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    opened += line == ".nf";
    closed += line == ".fi";
    if (line.starts_with(".") || line.starts_with("'")) {
      EXPECT_TRUE(line.starts_with(".T") || line.starts_with(".S") || line.starts_with(".B") ||
                  line.starts_with(".br") || line.starts_with(".RS") || line.starts_with(".RE") || line == ".nf" ||
                  line == ".fi" || line == ".sp" || line == ".PP")
          << line;
    }
  }
  EXPECT_EQ(opened, closed);
  EXPECT_GT(opened, 5u);
}

}  // namespace
}  // namespace convoy
