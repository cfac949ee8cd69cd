#include "apps/interrupt.h"

#include <signal.h>
#include <unistd.h>

namespace convoy {
namespace {

volatile sig_atomic_t noted_signal = 0;

void note_signal(int number) {
  if (noted_signal != 0) _exit(128 + number);
  noted_signal = number;
}

void set_handler(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

InterruptGuard::InterruptGuard() { set_handler(note_signal); }
InterruptGuard::~InterruptGuard() { set_handler(SIG_DFL); }
int InterruptGuard::signal() const { return noted_signal; }

}  // namespace convoy
