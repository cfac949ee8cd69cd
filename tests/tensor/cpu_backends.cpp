// The kernel tests on the instruction sets of this CPU, which knows fp32 only.
#include "tests/tensor/backends.h"

namespace convoy {

std::vector<Backend> backends_under_test(Variants variants) {
  std::vector<Backend> backends;
  for (const Kernels* table : cpu_kernel_tables()) {
    Backend backend{.name = table->name, .table = table, .stream = {.threads = 2}, .vary = [](int run, Stream& stream) {
                      stream.threads = (const int[]){1, 2, 3, 5}[run];
                    }};
    if (variants != Variants::convolutions) backends.push_back(backend);
    if (variants != Variants::convolutions && variants != Variants::trajectories) continue;
    backend.stream.convolution = ConvolutionAlgorithm::gemm;
    backend.name = std::string(table->name) + "_gemm";
    backends.push_back(backend);
    if (variants == Variants::trajectories) continue;
    backend.stream.convolution = ConvolutionAlgorithm::winograd;
    backend.name = std::string(table->name) + "_winograd";
    backends.push_back(backend);
  }
  return backends;
}

}  // namespace convoy
