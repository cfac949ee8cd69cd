// SIGINT, SIGTERM and SIGUSR1 as something to poll(): for a process that waits for others and has to pass the signals
// on.
#pragma once

#include <signal.h>

#include <array>

namespace convoy {

// The signals that arrive while one lives, at whichever thread, can be read from a file instead; those that are ignored
// stay so. One at a time.
class SignalFile {
 public:
  SignalFile();
  ~SignalFile();
  SignalFile(const SignalFile&) = delete;
  SignalFile& operator=(const SignalFile&) = delete;

  int file() const { return file_; }
  int read_signal() const;  // the one that made file() readable

 private:
  int file_ = -1;
  std::array<struct sigaction, 3> before_{};
};

}  // namespace convoy
