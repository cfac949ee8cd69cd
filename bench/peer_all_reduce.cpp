// MPI's own all-reduce as a program would call it that does nothing else: MPI_Allreduce, in place, which waits with a busy
// core. The peer of all_reduce.cpp: the same sizes, series and JSON lines, with the algorithm "MPI_Allreduce".
//
//   mpirun -n 2 bench_peer_all_reduce --seconds 0.2 --most 1048576
#include <mpi.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "bench/command_line.h"

namespace {

constexpr int kSeries = 9;

// Seconds of one of `times` sums in a row, on the slowest rank.
double time_of(std::vector<float>& values, int times) {
  MPI_Barrier(MPI_COMM_WORLD);
  const double start = MPI_Wtime();
  for (int i = 0; i < times; ++i)
    MPI_Allreduce(MPI_IN_PLACE, values.data(), static_cast<int>(values.size()), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  double seconds = (MPI_Wtime() - start) / times, slowest = 0;
  MPI_Allreduce(&seconds, &slowest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  return slowest;
}

void run(double budget, long most) {
  MPI_Init(nullptr, nullptr);
  int rank = 0, ranks = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  for (long bytes = 1 << 10; bytes <= most; bytes *= 4) {
    std::vector<float> values(static_cast<size_t>(bytes) / sizeof(float));
    time_of(values, 3);
    const double once = std::max(time_of(values, 3), 1e-8);
    const int times = static_cast<int>(std::clamp(budget / kSeries / once, 1.0, 1e5));
    double series[kSeries];
    for (double& each : series) each = time_of(values, times);
    std::nth_element(series, series + kSeries / 2, series + kSeries);
    const double seconds = series[kSeries / 2], algbw = static_cast<double>(bytes) / seconds / 1e9;
    if (rank == 0) {
      std::printf(R"({"transport":"mpi","ranks":%d,"algorithm":"MPI_Allreduce","bytes":%ld,"seconds":%.9g,"times":%d,)"
                  R"("algbw":%.6g,"busbw":%.6g})"
                  "\n",
                  ranks, bytes, seconds, times * kSeries, algbw, algbw * 2 * (ranks - 1) / ranks);
      std::fflush(stdout);
    }
  }
  MPI_Finalize();
}

}  // namespace

int main(int argc, char** argv) {
  double seconds = 0.2;
  long most = 64L << 20;
  CLI::App app("Times MPI_Allreduce by size.");
  app.add_option("--seconds", seconds, "per size")->capture_default_str()->check(convoy::kSeconds);
  app.add_option("--most", most, "bytes of the last size")->capture_default_str()->check(CLI::Range(4, 1 << 30));
  return convoy::run_program(app, argc, argv, [&] { run(seconds, most); });
}
