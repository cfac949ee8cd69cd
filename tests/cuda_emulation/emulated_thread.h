// One CUDA thread of the running block.
#pragma once

#include "tests/cuda_emulation/block.h"

namespace convoy::emulation {

class Fiber;

struct EmulatedThread {
  enum class State { ready, at_barrier, in_warp, exited };

  unsigned number = 0;  // in the block; its warp is number / 32, its lane number % 32
  uint3 index = {};
  Fiber* fiber = nullptr;  // null before it begins
  State state = State::ready;

  // Where it waits, or last did, and what it brought to a warp function.
  Site site;
  unsigned mask = 0;
  void* operands = nullptr;
  WarpOperation perform = nullptr;

  AsyncCopies copies;
};

}  // namespace convoy::emulation
