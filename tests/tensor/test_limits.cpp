// The limits of this CPU: numbers that kernels can be held against. How large they are, only the machine knows.
#include "tensor/cpu/limits.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tensor/kernel_observer.h"
#include "tensor/kernels.h"

namespace convoy {
namespace {

// A core does one multiplication and one addition of four floats in each cycle or more, at 0.5 GHz or more; the
// widest do 64 of both, at less than 10 GHz.
void expect_plausible(double flops, int threads) {
  EXPECT_GT(flops, 1e8);
  EXPECT_LT(flops, threads * 64 * 2 * 1e10);
}

TEST(Limits, fma_peak_is_that_of_the_kernel_table_in_use) {
  const Kernels& before = kernels(Device{});
  for (const Kernels* table : cpu_kernel_tables()) {
    SCOPED_TRACE(table->name);
    set_cpu_kernels(*table);
    expect_plausible(fma_peak(Stream{}), 1);
    expect_plausible(fma_peak(Stream{.threads = 2}), 2);
    const KernelObserver observer([](const KernelCall&) {});
    expect_plausible(fma_peak(Stream{}), 1);
  }
  set_cpu_kernels(before);
}

TEST(Limits, memory_moves_between_a_tenth_and_ten_thousand_gigabytes_a_second) {
  const MemoryBandwidth memory = memory_bandwidth(Stream{});
  for (const double bytes : {memory.read, memory.copy, memory.update}) {
    EXPECT_GT(bytes, 1e8);
    EXPECT_LT(bytes, 1e13);
    EXPECT_LE(bytes, memory.best());
  }
}

}  // namespace
}  // namespace convoy
