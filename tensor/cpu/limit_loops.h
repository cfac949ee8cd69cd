// The loops that measure a CPU's limits (limits.h), one set for each instruction set.
#pragma once

#include <cstdint>

#include "tensor/cpu/isa.h"

namespace convoy {

struct LimitLoops {
  const char* name;       // of the kernel table it belongs to
  int64_t multiply_adds;  // of one step of `fma`
  float (*fma)(int64_t steps);
  // The sum of x [count]. to [count] = from [count].
  float (*read)(int64_t count, const float* x);
  void (*copy)(int64_t count, const float* from, float* to);
  void (*update)(int64_t count, float* x);  // each element to its opposite
};

}  // namespace convoy

namespace convoy::CONVOY_ISA {
extern const LimitLoops kLimitLoops;
}
