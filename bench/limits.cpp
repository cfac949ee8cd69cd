// What can this CPU do at most? The roofs of the other tables: multiply-adds from registers, and memory. Prints one JSON line.
//
//   bench_limits --threads 2
//   {"copy_gbs":…,"gflops":…,"isa":"avx512","read_gbs":…,"threads":2,"update_gbs":…}
#include <iostream>
#include <nlohmann/json.hpp>

#include "bench/command_line.h"
#include "tensor/cores.h"
#include "tensor/cpu/limits.h"
#include "tensor/cpu/parallel.h"
#include "tensor/kernels.h"

int main(int argc, char** argv) {
  convoy::limit_openmp_spinning(argv);
  convoy::Stream stream{.threads = convoy::available_cores()};
  CLI::App app("Measures the machine's limits.");
  app.add_option("--threads", stream.threads, "OpenMP threads")->capture_default_str()->check(convoy::kThreads);
  return convoy::run_program(app, argc, argv, [&] {
    const convoy::MemoryBandwidth memory = convoy::memory_bandwidth(stream);
    std::cout << nlohmann::json{{"isa", convoy::kernels(stream.device).name},
                                {"threads", stream.threads},
                                {"gflops", convoy::fma_peak(stream) * 1e-9},
                                {"read_gbs", memory.read * 1e-9},
                                {"copy_gbs", memory.copy * 1e-9},
                                {"update_gbs", memory.update * 1e-9}}
              << '\n';
  });
}
