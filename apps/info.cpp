// `convoy info`: this machine and this build.
#include <fmt/format.h>

#include "apps/commands.h"
#include "apps/machine.h"
#include "tensor/device.h"
#include "tensor/kernels.h"

namespace convoy {

int run_info(const GivenOptions&) {
  std::string tables;
  for (const Kernels* table : cpu_kernel_tables())
    tables += fmt::format("{}{}", tables.empty() ? "" : ", ", table->name);
  fmt::print("convoy   {}, built with {}\n", CONVOY_VERSION, CONVOY_COMPILER);
  fmt::print("cpu      {}\n", cpu_name());
  fmt::print("kernels  {} (this CPU runs {}; CONVOY_ISA chooses)\n", kernels({}).name, tables);
  fmt::print("cores    {} for this process; {} threads by default (--threads)\n", available_cores(),
             current_stream().threads);
  fmt::print("memory   {:.1f} GiB\n", static_cast<double>(memory_in_bytes()) / (1 << 30));
  fmt::print("gpus     none: this build has no CUDA\n");
  fmt::print("parts    cpu: yes, cuda: no, mpi: no, nccl: no\n");
  return 0;
}

}  // namespace convoy
