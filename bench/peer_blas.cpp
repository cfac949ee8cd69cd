// How long do the matrix products of the system's BLAS take? Reads the lines of `bench_products --what gemm` and prints the
// same lines with its times.
//
//   bench_products --what gemm --threads 1 | OMP_NUM_THREADS=1 bench_peer_blas
#include <cblas.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "bench/command_line.h"
#include "bench/median_time.h"

namespace convoy {
namespace {

std::vector<float> noise(int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  uint32_t state = 1;
  for (float& value : values) {
    state = state * 1664525 + 1013904223;
    value = static_cast<float>(state >> 8) * 0x1p-23f - 1;
  }
  return values;
}

// A linear layer's three products, x [m,k], w [n,k], dy [m,n]: x * w^T, dy * w, dy^T * x.
double time_direction(const nlohmann::json& row, double seconds) {
  const int m = row.at("m"), n = row.at("n"), k = row.at("k");
  const std::string direction = row.at("direction");
  const bool forward = direction == "forward", input = direction == "backward_input";
  const int rows = forward || input ? m : n, columns = forward ? n : k, depth = forward ? k : input ? n : m;
  const std::vector<float> a = noise(int64_t{rows} * depth), b = noise(int64_t{depth} * columns);
  std::vector<float> c(static_cast<size_t>(rows) * static_cast<size_t>(columns));
  return median_time(
      [&] {
        cblas_sgemm(CblasRowMajor, forward || input ? CblasNoTrans : CblasTrans, forward ? CblasTrans : CblasNoTrans,
                    rows, columns, depth, 1, a.data(), forward || input ? depth : rows, b.data(),
                    forward ? depth : columns, 0, c.data(), columns);
      },
      seconds);
}

// A CPU that came after the library gets its oldest kernels, SSE3's: on a Xeon three to five times too slow to compare with. Starts the program
// once more with the best that the CPU has the instructions for; the page's version says which these are.
void use_kernels_of_this_cpu(char** argv) {
  if (std::string_view(openblas_get_corename()) != "Prescott" || std::getenv("OPENBLAS_CORETYPE") != nullptr) return;
  if (!__builtin_cpu_supports("avx2")) return;
  setenv("OPENBLAS_CORETYPE", __builtin_cpu_supports("avx512vl") ? "SkylakeX" : "Haswell", 1);
  execv("/proc/self/exe", argv);
  std::cerr << "bench_peer_blas: cannot start itself again; these are the kernels of an old CPU\n";
}

void run(double seconds) {
  for (std::string line; std::getline(std::cin, line);) {
    nlohmann::json row = nlohmann::json::parse(line);
    const double work = row.at("gflops").get<double>() * row.at("us").get<double>();
    const double us = 1e6 * time_direction(row, seconds);
    row["us"] = us;
    row["gflops"] = work / us;
    row["version"] = openblas_get_config();
    std::cout << row.dump() << std::endl;
  }
}

}  // namespace
}  // namespace convoy

int main(int argc, char** argv) {
  convoy::use_kernels_of_this_cpu(argv);
  double seconds = 0.2;
  CLI::App app("Times BLAS's products on the shapes of bench_products, read from standard input.");
  app.add_option("--seconds", seconds, "to measure each line")->capture_default_str()->check(convoy::kSeconds);
  return convoy::run_program(app, argc, argv, [&] { convoy::run(seconds); });
}
