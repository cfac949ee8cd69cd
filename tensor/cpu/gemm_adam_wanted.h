// When a weight is updated in the pass that computes its gradient (gemm_adam_step).
#pragma once

#include "tensor/kernels.h"

namespace convoy {

// Whether gemm_adam_step() of these sizes is possible there, and faster than gemm() followed by adam_step(). The result is the
// same. The limits are those of AVX-512, for all instruction sets.
bool gemm_adam_wanted(Device device, int64_t m, int64_t n, int64_t k);

}  // namespace convoy
