// Which batch would have fitted into a device's memory, for the message of who asked for more.
#pragma once

#include "data/dataset.h"
#include "layers/module.h"

namespace convoy {

// The largest of batch/2, batch/4, … whose forward and backward pass fits beside what is in use now; 0 for none.
// Gradients of `net` are overwritten.
int64_t fitting_batch(Module& net, const Dataset& dataset, int64_t batch);

}  // namespace convoy
