// `convoy info`: this machine and this build.
#include <fmt/format.h>

#include "apps/commands.h"
#include "apps/machine.h"
#include "data/download.h"
#include "parallel/mpi.h"
#include "parallel/nccl.h"
#include "tensor/cores.h"
#include "tensor/cuda/cuda.h"
#include "tensor/device.h"
#include "tensor/kernels.h"
#include "tensor/physical_memory.h"

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
  const std::string no_gpu = cuda::unavailable();
  if (!no_gpu.empty()) fmt::print("gpus     none: {}\n", no_gpu);
  for (int index = 0; index < cuda::device_count(); ++index) {
    const cuda::DeviceInfo gpu = cuda::device_info(index);
    fmt::print("{}     cuda:{} {}, compute capability {}.{}, {} multiprocessors, {:.1f} of {:.1f} GiB free\n",
               index == 0 ? "gpus" : "    ", index, gpu.name, gpu.compute_capability / 10, gpu.compute_capability % 10,
               gpu.multiprocessors, static_cast<double>(gpu.bytes_free) / (1 << 30),
               static_cast<double>(gpu.bytes_total) / (1 << 30));
  }
  fmt::print("parts    cpu: yes, cuda: {}, mpi: {}, nccl: {}, downloads: {}\n", cuda::built() ? "yes" : "no",
             mpi::built() ? mpi::library() : "no", nccl::built() ? nccl::library() : "no",
             download::built() ? download::library() : "no");
  return 0;
}

}  // namespace convoy
