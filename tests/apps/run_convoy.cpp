#include "tests/apps/run_convoy.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace convoy {

namespace fs = std::filesystem;

const char* const kConvoy = CONVOY_BINARY;
const char* const kConvoyEmulated = CONVOY_EMULATED_BINARY;
const char* const kFailACall = CONVOY_FAIL_A_CALL;

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (fs::temp_directory_path() / "convoy-test-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp: " + pattern);
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::vector<std::string> TemporaryFolder::names() const {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(path_))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

Process::Process(const TemporaryFolder& folder, const std::vector<std::string>& arguments,
                 const std::map<std::string, std::string>& environment, const char* program) {
  // Beside the folder, so that the tests see in it only what convoy left there.
  out_ = folder.path().string() + ".out";
  error_ = folder.path().string() + ".err";
  // One thread unless the test asks for more: on a busy machine several wait for each other.
  std::map<std::string, std::string> variables{{"HOME", folder.path().string() + ".home"},
                                               {"XDG_CACHE_HOME", ""},
                                               {"CONVOY_DATA", ""},
                                               {"OMP_NUM_THREADS", "1"}};
  for (const auto& [name, value] : environment) variables[name] = value;

  std::vector<char*> argv{const_cast<char*>(program)};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  id_ = fork();
  if (id_ != 0) return;
  // As in a terminal, also where the tests run in the background of a script, which ignores these.
  for (const int ignored : {SIGHUP, SIGINT, SIGQUIT}) signal(ignored, SIG_DFL);
  for (const auto& [name, value] : variables)
    value.empty() ? unsetenv(name.c_str()) : setenv(name.c_str(), value.c_str(), 1);
  const int out = open(out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600),
            error = open(error_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (chdir(folder.path().c_str()) != 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(error, STDERR_FILENO) < 0) _exit(126);
  execv(argv[0], argv.data());
  _exit(127);
}

Process::~Process() {
  if (id_ > 0) {
    kill(id_, SIGKILL);
    waitpid(id_, nullptr, 0);
  }
}

void Process::send(int signal) { kill(id_, signal); }

Outcome Process::wait() {
  int status = 0;
  waitpid(id_, &status, 0);
  id_ = -1;
  Outcome outcome{.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
                  .out = read_text(out_),
                  .error = read_text(error_)};
  fs::remove(out_);
  fs::remove(error_);
  return outcome;
}

Outcome run_convoy(const TemporaryFolder& folder, const std::vector<std::string>& arguments,
                   const std::map<std::string, std::string>& environment, const char* program) {
  return Process(folder, arguments, environment, program).wait();
}

std::string read_text(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::vector<nlohmann::json> read_events(const fs::path& run, const std::string& event) {
  std::vector<nlohmann::json> events;
  std::istringstream lines(read_text(run / "metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    nlohmann::json object = nlohmann::json::parse(line);
    if (event.empty() || object.at("event") == event) events.push_back(std::move(object));
  }
  return events;
}

std::string step_lines(const fs::path& run) {
  std::istringstream lines(read_text(run / "metrics.jsonl"));
  std::string steps;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(R"({"event":"step")")) steps += line + "\n";
  }
  return steps;
}

std::vector<std::string> small_training(const std::vector<std::string>& more) {
  std::vector<std::string> arguments{"train", "--dataset", "synthetic", "--limit", "200", "--log-every",
                                     "1",     "--holdout", "300",       "--plots", "off"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

}  // namespace convoy
