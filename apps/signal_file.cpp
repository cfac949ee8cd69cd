#include "apps/signal_file.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <initializer_list>

namespace convoy {

SignalFile::SignalFile() {
  sigemptyset(&signals_);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) sigaddset(&signals_, signal);
  sigprocmask(SIG_BLOCK, &signals_, nullptr);
  file_ = signalfd(-1, &signals_, SFD_CLOEXEC);
}

SignalFile::~SignalFile() {
  close(file_);
  sigprocmask(SIG_UNBLOCK, &signals_, nullptr);
}

int SignalFile::read_signal() const {
  signalfd_siginfo info{};
  return read(file_, &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
}

}  // namespace convoy
