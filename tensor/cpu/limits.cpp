#include "tensor/cpu/limits.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <string_view>

#include "tensor/cpu/limit_loops.h"
#include "tensor/cpu/parallel.h"
#include "tensor/error.h"
#include "tensor/kernels.h"
#include "tensor/memory_pool.h"
#include "tensor/seconds_since.h"
#include "tensor/tensor.h"

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

// Floats of a tensor that no cache holds a large part of. Not by the size of the last cache: in virtual machines that is the host's, of
// which a few cores have a part. With a quarter of it, two tensors beside two caches of 32 MiB were read up to 1.6 times as fast.
int64_t uncached_floats() {
  const int64_t free = std::max<int64_t>(sysconf(_SC_AVPHYS_PAGES), 1) * sysconf(_SC_PAGESIZE);
  return std::clamp<int64_t>(free / 8, 1 << 20, 256 << 20) / static_cast<int64_t>(sizeof(float));
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
  // As the kernels' operands, of the pool, whose large blocks lie in huge pages. Filled, or all would be one page of zeros.
  Tensor of_x = Tensor::full({count}, 1), of_y = Tensor::full({count}, 1);
  float *const x = of_x.data<float>(), *const y = of_y.data<float>();
  const auto bytes_per_second = [&](double bytes, const auto& part) {
    return bytes / least_seconds([&] { parallel_for(stream, count, kGrain, part); });
  };
  const double bytes = static_cast<double>(of_x.bytes());
  const MemoryBandwidth memory{
      .read = bytes_per_second(bytes,
                               [&](int64_t begin, int64_t end) {
                                 sink.store(loops.read(end - begin, x + begin), std::memory_order_relaxed);
                               }),
      .copy = bytes_per_second(2 * bytes,
                               [&](int64_t begin, int64_t end) { loops.copy(end - begin, x + begin, y + begin); }),
      .update = bytes_per_second(2 * bytes, [&](int64_t begin, int64_t end) { loops.update(end - begin, x + begin); })};
  of_x = of_y = Tensor();
  pool_release_cache(Device{});  // nobody else needs blocks of this size
  return memory;
}

}  // namespace convoy
