// Another program, run to its end while this one listens to what it says and to Ctrl-C.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/signal_file.h"

namespace convoy {

struct ChildOutcome {
  int exit_code = 0;       // 128 + signal when a signal ended it; 127 when there is no such program
  std::string out, error;  // what it wrote
  int interrupted = 0;     // the first signal that came to this process meanwhile
};

// Runs words[0], found along $PATH unless it has a slash. A first SIGINT or SIGTERM is handed on to the child as
// SIGINT, so that it may end in its own way; a second kills it. It is ended, too, when this process dies. `tick` is
// called about five times a second. Throws Error(device) when no process can be started.
ChildOutcome run_child(const std::vector<std::string>& words, const SignalFile& signals,
                       const std::function<void(const ChildOutcome& until_now)>& tick = {});

// The last line that is not empty, which tells most of a program that failed.
std::string last_line(const std::string& text);

}  // namespace convoy
