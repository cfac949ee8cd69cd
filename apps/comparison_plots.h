// The pictures of a comparison, as scripts for gnuplot that carry their data with them.
#pragma once

#include <vector>

#include "apps/comparison.h"
#include "apps/plots.h"

namespace convoy {

// Of every model with a complete round: training time, speed-up, efficiency, loss curves, where the time goes. A plot's
// subject is its model.
std::vector<Plot> comparison_plots(const Comparison& comparison);

}  // namespace convoy
