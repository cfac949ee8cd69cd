// Where NaN and infinity come from: used once the loss has gone, so that a run ends with a name instead of a
// riddle.
#pragma once

#include <string>

#include "apps/settings.h"
#include "layers/module.h"

namespace convoy {

// Runs `images` [N,H,W,C] through `net` again, in its present mode, and names the first layer whose output is
// not finite, and its parameter when that is the cause: "first in the output of layer 'fc1', Linear(21632, 128)".
std::string first_nonfinite(Module& net, const Tensor& images);

// What to do about it: "try a --lr below 0.1".
std::string cure_of_nonfinite(const Settings& settings, int64_t step);

}  // namespace convoy
