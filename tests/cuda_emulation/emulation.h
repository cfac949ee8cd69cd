// What a test may ask of the emulation, beyond what CUDA offers.
#pragma once

#include <cstdint>
#include <string>

namespace convoy::emulation {

// Draws all further orders on all devices from `seed`, as CONVOY_EMULATION_SEED does at the start.
void set_seed(uint64_t seed);

// Why the current device's kernels failed, the text that went to stderr; "" while they have not. cudaDeviceReset()
// heals the device.
std::string failure();

}  // namespace convoy::emulation
