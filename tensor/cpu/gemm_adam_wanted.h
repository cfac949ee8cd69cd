// When a weight is updated in the pass that computes its gradient (gemm_adam_step).
#pragma once

#include "tensor/kernels.h"

namespace convoy {

// Whether that is possible and faster than gemm() followed by adam_step(), on the CPU. The result is the same.
bool gemm_adam_wanted(const GemmShape& shape);

}  // namespace convoy
