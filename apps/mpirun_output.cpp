#include "apps/mpirun_output.h"

#include <regex>
#include <utility>

namespace convoy {
namespace {

// What else the library says when a rank dies: that one has called MPI_ABORT; of the others, that shared memory of the
// dead one can no longer be read; and, from its own handler, where a process was when a signal came.
bool is_aftermath(const std::string& line) {
  static const std::regex unreadable(R"(^\[\S+:\d+\] Read -?\d+, expected \d+, errno = \d+\s*$)");
  static const std::regex crash(
      R"(^\[\S+:\d+\] (\*\*\* (Process received signal|End of error message) \*\*\*|Signal|Failing at|\[ ?\d+\]))");
  return line == "\n" || line.starts_with("MPI_ABORT was invoked") || line.starts_with("mpirun: Forwarding signal") ||
         std::regex_search(line, unreadable) || std::regex_search(line, crash);
}

}  // namespace

void MpirunOutput::add(std::string_view bytes) {
  for (const char byte : bytes) {
    begun_ += byte;
    if (byte == '\n') line(std::exchange(begun_, {}));
  }
}

void MpirunOutput::finish() {
  if (!begun_.empty()) line(std::exchange(begun_, {}));
}

void MpirunOutput::line(const std::string& text) {
  if (text.starts_with("----------")) {
    in_banner_ = !in_banner_;
  } else if (in_banner_) {
    understand(text);
  } else if (!is_aftermath(text)) {
    rank_told_ = rank_told_ || (text.starts_with("convoy: ") && !text.starts_with("convoy: warning: "));
    pass_on_(text);
  }
}

void MpirunOutput::understand(const std::string& text) {
  static const std::regex on_signal(R"(process rank (\d+) with PID \d+ on node \S+ exited on signal (\d+))");
  static const std::regex improperly(R"(due to process rank (\d+) with PID \d+ on)");
  static const std::regex name(R"(Process name: \[\[\d+,\d+\],(\d+)\])");
  static const std::regex code(R"(Exit code:\s+(\d+))");
  std::smatch found;
  if (failed_) return;  // the first is to blame
  if (std::regex_search(text, found, on_signal)) {
    failed_ = FailedRank{.rank = std::stoi(found[1]), .signal = std::stoi(found[2])};
  } else if (std::regex_search(text, found, improperly)) {
    failed_ = FailedRank{.rank = std::stoi(found[1])};
  } else if (std::regex_search(text, found, name)) {
    named_ = std::stoi(found[1]);
  } else if (named_ && std::regex_search(text, found, code)) {
    failed_ = FailedRank{.rank = *named_, .exit_code = std::stoi(found[1])};
  }
}

}  // namespace convoy
