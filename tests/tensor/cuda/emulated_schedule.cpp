// The emulated GPU runs blocks, and threads between barriers, in an order drawn from the seed.
#include "tests/cuda_emulation/emulation.h"
#include "tests/tensor/cuda/schedule.h"

namespace convoy {

void set_schedule(int seed) { emulation::set_seed(static_cast<uint64_t>(seed)); }

}  // namespace convoy
