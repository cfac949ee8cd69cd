// Which batch would have fitted into a device's memory, for the message of who asked for more.
#pragma once

#include <string>

#include "apps/settings.h"
#include "data/dataset.h"
#include "layers/module.h"

namespace convoy {

// The advice for a training that ran out of memory: "--batch 32 would fit". That batch is the largest of batch/2,
// batch/4, … of settings.batch with which a training step and an evaluation fit beside what is in use now; it is tried,
// unless the training has several devices or steps in pieces. Gradients of `net` are overwritten.
std::string what_would_fit(Module& net, const Dataset& dataset, const Settings& settings);

}  // namespace convoy
