// Compiled without ThreadSanitizer, because libgomp's own synchronisation is invisible to it; what OpenMP
// guarantees (everything before a region happens before its chunks, and those before everything after it) is told
// to the sanitizer by hand.
#include "tensor/cpu/parallel.h"

#include <omp.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "tensor/cores.h"
#include "tensor/error.h"

#ifdef CONVOY_TSAN
#include <sanitizer/tsan_interface.h>
#else
namespace {
inline void __tsan_acquire(void*) {}
inline void __tsan_release(void*) {}
}  // namespace
#endif

namespace convoy {

namespace {

// The chunks of one thread, on a cache line of its own.
struct alignas(64) Share {
  std::atomic<int64_t> next;
  int64_t end;
};

}  // namespace

void run_chunks(const Stream& stream, int64_t chunks, void (*run)(void*, int64_t), void* context) {
  if (stream.threads == 1 || chunks <= 1) {
    for (int64_t chunk = 0; chunk < chunks; ++chunk) run(context, chunk);
    return;
  }
  const int threads = stream.threads;
  const auto shares =
      static_cast<Share*>(__builtin_alloca_with_align(sizeof(Share) * static_cast<size_t>(threads), 512));
  for (int i = 0; i < threads; ++i) new (&shares[i]) Share{chunks * i / threads, chunks * (i + 1) / threads};
  char began = 0, ended = 0;
  __tsan_release(&began);
  // Always the same number of threads: libgomp ends those that a smaller team leaves over, and starts new ones later.
#pragma omp parallel num_threads(threads)
  {
    __tsan_acquire(&began);
    // Its own share first, then what others have left. The team may be smaller than asked for.
    const int self = omp_get_thread_num();
    for (int i = 0; i < threads; ++i) {
      Share& share = shares[(self + i) % threads];
      for (int64_t chunk; (chunk = share.next.fetch_add(1, std::memory_order_relaxed)) < share.end;)
        run(context, chunk);
    }
    __tsan_release(&ended);
  }
  __tsan_acquire(&ended);
}

void limit_openmp_spinning(char** argv) {
  if (openmp_is_bound()) return;  // libgomp has bound this thread already, and would find no other core again
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  setenv("GOMP_SPINCOUNT", "10000", 1);
  execv("/proc/self/exe", argv);  // returns only when it fails: then the threads spin, and nothing else changes
}

namespace {

struct ScratchMemory {
  float* memory = nullptr;
  int64_t floats = 0;
  ~ScratchMemory() { std::free(memory); }
};

}  // namespace

float* thread_scratch(Scratch slot, int64_t floats) {
  thread_local ScratchMemory memories[static_cast<int>(Scratch::count)];
  ScratchMemory& scratch = memories[static_cast<int>(slot)];
  if (scratch.floats < floats) {
    std::free(scratch.memory);
    scratch.floats = (floats + 15) / 16 * 16;  // no more, so that a sanitizer sees what is too small
    scratch.memory = static_cast<float*>(std::aligned_alloc(64, static_cast<size_t>(scratch.floats) * sizeof(float)));
    if (scratch.memory == nullptr) {
      fmt::print(stderr, "convoy: cpu: out of memory, {} bytes of scratch asked for\n", scratch.floats * 4);
      _exit(static_cast<int>(ErrorKind::device));  // no exception may leave a parallel region
    }
  }
  return scratch.memory;
}

}  // namespace convoy
