// The text of a failure in a kernel.
#pragma once

#include <span>
#include <string>

#include "tests/cuda_emulation/emulated_thread.h"

namespace convoy::emulation {

// "void scale_kernel(float*)", from the symbols of this program; its address where there are none.
std::string kernel_name(const void* kernel);

// "<kernel>, block (1,0,0): <what>".
std::string describe_failure(const Launch& launch, const uint3& block, const std::string& what);

// Who waits where, a line for each place: "\n  threads 0-31, 64 wait at __syncthreads (reduce.cu:57)".
std::string describe_threads(std::span<const EmulatedThread> threads);

std::string describe_place(const std::source_location& where);  // "reduce.cu:57"

}  // namespace convoy::emulation
