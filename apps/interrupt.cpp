#include "apps/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <initializer_list>

namespace convoy {
namespace {

volatile sig_atomic_t noted_signal = 0;

void note_signal(int number) {
  if (noted_signal != 0) _exit(128 + number);
  noted_signal = number;
  constexpr char kTold[] = "stopping after this step; Ctrl-C again stops now\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, kTold, sizeof kTold - 1);
}

void set_handler(int signal, void (*handler)(int)) {
  struct sigaction old = {};
  sigaction(signal, nullptr, &old);
  if (old.sa_handler == SIG_IGN) return;  // as nohup and shells wish for jobs in the background
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

void set_handlers(void (*handler)(int)) {
  for (const int signal : {SIGINT, SIGTERM}) set_handler(signal, handler);
}

}  // namespace

InterruptGuard::InterruptGuard() { set_handlers(note_signal); }
InterruptGuard::~InterruptGuard() { set_handlers(SIG_DFL); }
int InterruptGuard::signal() const { return noted_signal; }

}  // namespace convoy
