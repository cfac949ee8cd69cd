// The one place where CPU kernels become parallel. Work is cut into chunks by its size alone, never by the number
// of threads. So a kernel whose chunks write disjoint memory gives the same bits on any number of threads. Each thread
// first takes its share of the chunks, in order, which makes it likely to meet in its cache what it wrote in the kernel
// before; then what others have left.
#pragma once

#include <cstdint>

#include "tensor/device.h"

namespace convoy {

// Calls run(context, chunk) for every chunk in [0, chunks), on at most stream.threads OpenMP threads; returns when
// all are done.
void run_chunks(const Stream& stream, int64_t chunks, void (*run)(void* context, int64_t chunk), void* context);

// Calls body(begin, end) for consecutive ranges of `grain` indices (the last may be shorter) that together cover
// [0, count).
template <class Body>
void parallel_for(const Stream& stream, int64_t count, int64_t grain, Body&& body) {
  struct Context {
    Body& body;
    int64_t count, grain;
  } context{body, count, grain};
  run_chunks(
      stream, (count + grain - 1) / grain,
      [](void* opaque, int64_t chunk) {
        const Context& c = *static_cast<Context*>(opaque);
        const int64_t begin = chunk * c.grain, end = begin + c.grain;
        c.body(begin, end < c.count ? end : c.count);
      },
      &context);
}

// For the first line of main(): sets GOMP_SPINCOUNT and starts the program again, because libgomp reads its environment
// before main(); unless the user has set it, OMP_WAIT_POLICY, or to which cores threads are bound. By default libgomp's
// threads spin for milliseconds at the end of every kernel, which makes training several times slower as soon as another
// program wants the same cores; threads that sleep at once are woken late, and often on the core of the one that wakes them.
// bench/openmp_spin.py measures both.
void limit_openmp_spinning(char** argv);

// Scratch memory of the calling thread, at least `floats` floats, 64-byte aligned, uninitialised. Valid until the
// thread's next call with the same slot; kept for the thread's lifetime.
enum class Scratch { pack_a, pack_b, filters, partial, count };
float* thread_scratch(Scratch slot, int64_t floats);

}  // namespace convoy
