// Ctrl-C (SIGINT), SIGTERM, and SIGUSR1, with which batch systems announce the end of a job's time: the first asks for
// an orderly end, the second kills at once.
#pragma once

namespace convoy {

inline constexpr const char* kStoppingAfterStep = "stopping after this step";

// Tells on stderr that the first signal has come: "<told>; Ctrl-C again stops now", or the like for the other two. A
// signal's handler may call it.
void tell_of_signal(int number, const char* told);

// While one lives, the three signals are noted instead of ending the process; one that is
// ignored stays so. A rank of a job notes SIGUSR1 alone, with which the launcher (launch.h) asks all ranks at once: the
// other two end it, as mpirun expects.
class InterruptGuard {
 public:
  explicit InterruptGuard(bool rank_of_a_job = false);
  explicit InterruptGuard(const char* told);  // for tell_of_signal(); a literal
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  // The signal that came, 0 for none.
  int signal() const;

 private:
  bool rank_of_a_job_;
};

}  // namespace convoy
