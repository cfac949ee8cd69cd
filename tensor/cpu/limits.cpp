#include "tensor/cpu/limits.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <memory>
#include <string_view>

#include "tensor/cpu/limit_loops.h"
#include "tensor/cpu/parallel.h"
#include "tensor/error.h"
#include "tensor/kernels.h"
#include "tensor/seconds_since.h"

namespace convoy {

namespace cpu_avx2 {
extern const LimitLoops kLimitLoops;
}
namespace cpu_avx512 {
extern const LimitLoops kLimitLoops;
}

namespace {

const LimitLoops& loops() {
  const std::string_view name = kernels(Device{}).name;
  for (const LimitLoops* loops : {&cpu_portable::kLimitLoops, &cpu_avx2::kLimitLoops, &cpu_avx512::kLimitLoops}) {
    if (name == loops->name) return *loops;
  }
  fail(ErrorKind::internal, "limits: no loops for '{}' kernels", name);
}

// Seconds of the fastest of the calls of work() that fit into a tenth of a second: among so many there is one, on a machine
// that has other things to do, that was not interrupted.
template <class Work>
double least_seconds(Work&& work) {
  using Clock = std::chrono::steady_clock;
  constexpr int kLeastTries = 4;
  double least = std::numeric_limits<double>::infinity();
  const Clock::time_point begin = Clock::now();
  for (int tries = 0; tries < kLeastTries || seconds_since(begin) < 0.1; ++tries) {
    const Clock::time_point start = Clock::now();
    work();
    least = std::min(least, seconds_since(start));
  }
  return least;
}

// Floats of a buffer that no cache holds: four times the last one, but no more than a share of the memory there is.
int64_t uncached_floats() {
  const int64_t last_cache = std::max<int64_t>(sysconf(_SC_LEVEL3_CACHE_SIZE), 16 << 20);
  const int64_t free = std::max<int64_t>(sysconf(_SC_AVPHYS_PAGES), 1) * sysconf(_SC_PAGESIZE);
  return std::clamp<int64_t>(std::min(4 * last_cache, free / 8), 1 << 20, 512 << 20) / 4;
}

// Keeps what nobody else needs from being left out by the compiler.
std::atomic<float> sink;

}  // namespace

double fma_peak(const Stream& stream) {
  constexpr int64_t kSteps = 1'000'000;  // a millisecond or more: waking threads up takes some dozen microseconds
  const LimitLoops& loops = convoy::loops();
  const double seconds = least_seconds([&] {
    parallel_for(stream, stream.threads, 1,
                 [&](int64_t, int64_t) { sink.store(loops.fma(kSteps), std::memory_order_relaxed); });
  });
  return 2.0 * static_cast<double>(loops.multiply_adds) * kSteps * stream.threads / seconds;
}

MemoryBandwidth memory_bandwidth(const Stream& stream) {
  constexpr int64_t kGrain = 1 << 18;  // floats
  const LimitLoops& loops = convoy::loops();
  const int64_t count = uncached_floats();
  const auto x = std::make_unique_for_overwrite<float[]>(static_cast<size_t>(count)),
             y = std::make_unique_for_overwrite<float[]>(static_cast<size_t>(count));
  // Memory of its own for each page, or all would be one page of zeros.
  parallel_for(stream, count, kGrain,
               [&](int64_t begin, int64_t end) { std::fill(x.get() + begin, x.get() + end, 1.0f); });
  const double read = least_seconds([&] {
    parallel_for(stream, count, kGrain, [&](int64_t begin, int64_t end) {
      sink.store(loops.read(end - begin, x.get() + begin), std::memory_order_relaxed);
    });
  });
  const double copied = least_seconds([&] {
    parallel_for(stream, count, kGrain,
                 [&](int64_t begin, int64_t end) { loops.copy(end - begin, x.get() + begin, y.get() + begin); });
  });
  const double bytes = static_cast<double>(count) * sizeof(float);
  return {.read = bytes / read, .copy = 2 * bytes / copied};
}

}  // namespace convoy
