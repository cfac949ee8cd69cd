// SIGINT, SIGTERM and SIGUSR1 as something to poll(): for a process that waits for others and has to pass the signals on.
#pragma once

#include <signal.h>

namespace convoy {

// The signals, arriving while one lives, can be read from a file instead. One at a time, made before
// other threads are started: the system hands a signal to any thread that does not block it.
class SignalFile {
 public:
  SignalFile();
  ~SignalFile();
  SignalFile(const SignalFile&) = delete;
  SignalFile& operator=(const SignalFile&) = delete;

  int file() const { return file_; }
  const sigset_t& signals() const { return signals_; }  // which a child has to unblock
  int read_signal() const;                              // the one that made file() readable

 private:
  sigset_t signals_;
  int file_ = -1;
};

}  // namespace convoy
