#include "apps/signal_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tensor/error.h"

namespace convoy {
namespace {

constexpr std::array kSignals = {SIGINT, SIGTERM, SIGUSR1};
volatile sig_atomic_t write_end = -1;

void write_down(int number) {
  const int error = errno;
  const auto byte = static_cast<unsigned char>(number);
  [[maybe_unused]] const ssize_t written = write(write_end, &byte, 1);
  errno = error;
}

}  // namespace

SignalFile::SignalFile() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) fail(ErrorKind::device, "pipe: {}", std::strerror(errno));
  file_ = ends[0];
  write_end = ends[1];
  struct sigaction action {};
  action.sa_handler = write_down;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], nullptr, &before_[i]);
    if (before_[i].sa_handler != SIG_IGN) sigaction(kSignals[i], &action, nullptr);
  }
}

SignalFile::~SignalFile() {
  for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &before_[i], nullptr);
  close(write_end);
  close(file_);
}

int SignalFile::read_signal() const {
  unsigned char byte = 0;
  return read(file_, &byte, 1) == 1 ? byte : 0;
}

}  // namespace convoy
