// The kernel tests on the instruction sets of this CPU, which knows fp32 only.
#include "tests/tensor/backends.h"

namespace convoy {

std::vector<Backend> backends_under_test(Variants) {
  std::vector<Backend> backends;
  for (const Kernels* table : cpu_kernel_tables()) {
    backends.push_back(
        {.name = table->name, .table = table, .stream = {.threads = 2}, .vary = [](int run, Stream& stream) {
           stream.threads = (const int[]){1, 2, 3, 5}[run];
         }});
  }
  return backends;
}

}  // namespace convoy
