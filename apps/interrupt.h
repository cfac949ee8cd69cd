// Ctrl-C (SIGINT) and SIGTERM: the first asks for an orderly end, the second kills at once.
#pragma once

namespace convoy {

// While one lives, the two signals are noted instead of ending the process; one that is
// ignored stays so.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  // The signal that came, 0 for none.
  int signal() const;
};

}  // namespace convoy
