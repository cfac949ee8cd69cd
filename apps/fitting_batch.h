// Which batch would have fitted into a device's memory, for the message of who asked for more.
#pragma once

#include "apps/settings.h"
#include "data/dataset.h"
#include "layers/module.h"

namespace convoy {

// The largest of batch/2, batch/4, … of settings.batch with which a training step and an evaluation fit beside what is in
// use now; 0 for none. Gradients of `net` are overwritten.
int64_t fitting_batch(Module& net, const Dataset& dataset, const Settings& settings);

}  // namespace convoy
