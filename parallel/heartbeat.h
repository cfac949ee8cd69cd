// By what a process is noticed that is stopped but not dead: it gives a sign of life once in kHeartbeat, and is given up
// after kSilence without one.
#pragma once

#include <chrono>

namespace convoy {

inline constexpr std::chrono::seconds kHeartbeat{1}, kSilence{6};

}  // namespace convoy
