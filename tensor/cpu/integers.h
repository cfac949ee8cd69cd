// Arithmetic on extents, in a namespace of each instruction set like all that kernels inline (isa.h).
#pragma once

#include <cstdint>

#include "tensor/cpu/isa.h"

namespace convoy::CONVOY_ISA {

inline constexpr int64_t round_up(int64_t x, int64_t multiple) { return (x + multiple - 1) / multiple * multiple; }
inline constexpr int64_t ceil_divide(int64_t x, int64_t y) { return (x + y - 1) / y; }
inline constexpr int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
inline constexpr int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

}  // namespace convoy::CONVOY_ISA
