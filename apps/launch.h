// Starting the ranks of a job: this process runs mpirun, passes on Ctrl-C, and tells in one line how a job ended that
// did not end well.
#pragma once

#include "apps/settings.h"

namespace convoy {

// Runs `convoy <command>` with the `given` options once for each of settings.ranks ranks on this host. Returns the exit
// code: that of the ranks when one of them has told its error, 7 when a rank died, 130 or 143 when interrupted. Throws
// Error(usage) when there is no mpirun.
int launch_ranks(const char* command, const GivenOptions& given, const Settings& settings);

}  // namespace convoy
