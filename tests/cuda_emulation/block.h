// Runs kernels: blocks one after the other, each CUDA thread of a block a fiber of the calling host thread.
//
// A fiber runs until its thread waits: at the block's barrier, or in an operation of its warp (a shuffle, a matrix
// instruction). What runs next is drawn from a seed, so a missing barrier gives wrong results under some seed. Threads
// of a warp follow each other as long as they can, and a warp runs ahead of the others up to the next barrier.
//
// A warp operation happens once, when the last of its lanes arrives: that lane performs it for all, on the operands
// that each left on its own stack. A block in which all threads wait, and none can go on, ends the launch with a report of
// who waits where; so does a thread that has exited while others wait for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <source_location>
#include <string>
#include <vector>

#include "tests/cuda_emulation/random.h"
#include "tests/cuda_emulation/vector_types.h"

namespace convoy::emulation {

struct Launch {
  const void* kernel = nullptr;
  dim3 grid, block;
  size_t shared_bytes = 0;
  std::function<void()> body;  // the kernel with its arguments: runs one thread
};

constexpr size_t kMaxThreads = 1024, kMaxSharedBytes = 227 << 10;

// "", or a report of what went wrong in the kernel; the rest of the launch is then not run.
std::string run_blocks(const Launch& launch, Random& random);

// --- called from within kernels -----------------------------------------------------------------------------------

// A place in a kernel where a thread waits. Threads meet only at the same place.
struct Site {
  const char* what = "";
  std::source_location where;

  bool operator==(const Site& other) const {
    return what == other.what && where.line() == other.where.line() && where.file_name() == other.where.file_name();
  }
};

// Does something for the lanes of `mask`, given what each passed to meet_warp(); null for a lane that has exited or
// never was. Returns null or what is wrong.
using WarpOperation = const char* (*)(unsigned mask, void* const (&operands)[32]);

void meet_block(const Site& site);
void meet_warp(unsigned mask, void* operands, WarpOperation perform, const Site& site);

// Ends the launch with the report "thread (0,0,0): <site> <what>". What the kernel's threads have on their stacks is
// forgotten, never destroyed.
[[noreturn]] void fail_kernel(const char* what, const Site& site);

// The running block's dynamic shared memory.
extern constinit thread_local unsigned char* shared_memory_begin;
extern constinit thread_local size_t shared_memory_bytes;

// Fails the kernel unless `bytes` at `pointer` lie in shared memory.
void check_shared(const void* pointer, size_t bytes, const Site& site);

// The running thread's asynchronous copies, in groups. They land when a wait says that they have.
class AsyncCopies {
 public:
  void issue(void* to, const void* from, unsigned bytes);  // zeros when `from` is null
  void commit() { ++group_; }
  void wait(unsigned newest);  // lands all committed groups but so many of the newest
  void clear();

 private:
  struct Copy {
    void* to;
    const void* from;
    unsigned bytes;
    unsigned group;
  };
  std::vector<Copy> pending_;  // oldest first
  unsigned group_ = 0;
};

AsyncCopies& async_copies();

}  // namespace convoy::emulation
