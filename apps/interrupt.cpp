#include "apps/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <initializer_list>

namespace convoy {
namespace {

volatile sig_atomic_t noted_signal = 0;
const char* volatile ending = kStoppingAfterStep;

void write_to_stderr(const char* text) {
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text, strlen(text));
}

void note_signal(int number) {
  if (noted_signal != 0) _exit(128 + number);
  noted_signal = number;
  tell_of_signal(number, ending);
}

void note_quietly(int number) { noted_signal = number; }

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

void set_handlers(bool rank_of_a_job, void (*handler)(int)) {
  if (rank_of_a_job) return set_handler(SIGUSR1, handler);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) set_handler(signal, handler);
}

}  // namespace

void tell_of_signal(int number, const char* told) {
  write_to_stderr(told);
  write_to_stderr(number == SIGINT    ? "; Ctrl-C again stops now\n"
                  : number == SIGTERM ? " (SIGTERM); a second signal stops now\n"
                                      : " (SIGUSR1); a second signal stops now\n");
}

InterruptGuard::InterruptGuard(bool rank_of_a_job) : rank_of_a_job_(rank_of_a_job) {
  set_handlers(rank_of_a_job, rank_of_a_job ? note_quietly : note_signal);
}
InterruptGuard::InterruptGuard(const char* told) : rank_of_a_job_(false) {
  ending = told;
  set_handlers(false, note_signal);
}
InterruptGuard::~InterruptGuard() { set_handlers(rank_of_a_job_, SIG_DFL); }
int InterruptGuard::signal() const { return noted_signal; }

}  // namespace convoy
