// The command that trains a run once more.
#pragma once

#include <string>

#include "apps/settings.h"

namespace convoy {

// "convoy train --dataset mnist --model lenet5 --epochs 3": the settings of a run, as far as they are not what its data
// set and model come with, and may change its result. Where files are, who computes with how many threads, and what is
// kept of the run is left to whoever repeats it.
std::string repeat_command(const Settings& settings);

}  // namespace convoy
