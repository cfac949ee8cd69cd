// Chooses the CPU's kernel table at start-up: the best instruction set that CPUID reports, or the one named by
// CONVOY_ISA.
#include <cstdlib>
#include <string>
#include <vector>

#include "tensor/cuda/cuda.h"
#include "tensor/error.h"
#include "tensor/kernels.h"

namespace convoy {

namespace cpu_portable {
extern const Kernels kTable;
}
namespace cpu_avx2 {
extern const Kernels kTable;
}
namespace cpu_avx512 {
extern const Kernels kTable;
}

namespace {

std::vector<const Kernels*> supported_tables() {
  std::vector<const Kernels*> tables{&cpu_portable::kTable};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) tables.push_back(&cpu_avx2::kTable);
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq")) {
    tables.push_back(&cpu_avx512::kTable);
  }
  return tables;
}

const Kernels* choose_table() {
  const std::span<const Kernels* const> tables = cpu_kernel_tables();
  const char* wanted = std::getenv("CONVOY_ISA");
  if (wanted == nullptr || *wanted == '\0') return tables.back();
  std::string supported;
  for (const Kernels* table : tables) {
    if (std::string(wanted) == table->name) return table;
    supported += std::string(supported.empty() ? "" : ", ") + table->name;
  }
  fail(ErrorKind::device, "CONVOY_ISA: this CPU has no '{}'; it has: {}", wanted, supported);
}

const Kernels*& chosen_table() {
  static const Kernels* table = choose_table();
  return table;
}

}  // namespace

std::span<const Kernels* const> cpu_kernel_tables() {
  static const std::vector<const Kernels*> tables = supported_tables();
  return tables;
}

const Kernels& kernels(Device device) {
  return device.kind == Device::Kind::cuda ? cuda::kernel_table() : *chosen_table();
}

void set_cpu_kernels(const Kernels& table) { chosen_table() = &table; }

}  // namespace convoy
