// The order in which a GPU runs the threads and blocks of a kernel: chosen by `seed` on the emulated GPU
// (emulated_schedule.cpp); on a real one (gpu_schedule.cpp) left to chance.
#pragma once

namespace convoy {

void set_schedule(int seed);

}  // namespace convoy
