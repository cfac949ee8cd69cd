// Runs the built `convoy` command as a user would, in a folder of its own.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

namespace convoy {

struct Outcome {
  int exit_code = -1;  // 128 + signal when a signal ended it
  std::string out, error;
};

// A fresh folder under the system's temporary one; removed with its content at the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  std::vector<std::string> names() const;  // what lies in it, sorted

 private:
  std::filesystem::path path_;
};

// The programs under test: the one users get, and the same with its CUDA backend on emulated GPUs.
extern const char* const kConvoy;
extern const char* const kConvoyEmulated;

// The library tests/apps/preload/fail_a_call.cpp; "" in builds with a sanitizer, which has to be loaded first.
extern const char* const kFailACall;

// A `convoy` process with `folder` as its working directory and no data sets to be found but those that
// `environment` or options name.
class Process {
 public:
  Process(const TemporaryFolder& folder, const std::vector<std::string>& arguments,
          const std::map<std::string, std::string>& environment = {}, const char* program = kConvoy);
  ~Process();  // kills it if it still runs
  void send(int signal);
  pid_t id() const { return id_; }
  Outcome wait();

 private:
  std::filesystem::path out_, error_;
  pid_t id_ = -1;
};

Outcome run_convoy(const TemporaryFolder& folder, const std::vector<std::string>& arguments,
                   const std::map<std::string, std::string>& environment = {}, const char* program = kConvoy);

std::string read_text(const std::filesystem::path& path);

// The objects of a metrics.jsonl whose "event" is `event`, or all of them.
std::vector<nlohmann::json> read_events(const std::filesystem::path& run, const std::string& event = "");

// The lines of a metrics.jsonl that tell of steps, byte for byte.
std::string step_lines(const std::filesystem::path& run);

// Waits for something that another process brings about.
template <class Condition>
void wait_for(const char* what, Condition&& condition) {
  for (int i = 0; i < 3000; ++i) {
    if (condition()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  FAIL() << "a minute has passed without " << what;
}

// Arguments of a training of about a second, on 200 synthetic digits with 300 held out to validate, without pictures,
// followed by `more`.
std::vector<std::string> small_training(const std::vector<std::string>& more);

}  // namespace convoy
