// How fast are our all-reduce algorithms, by size? Between processes (MPI) when mpirun has started this program, between
// threads of one with --threads. Definitions are those of nccl-tests (doc/PERFORMANCE.md): for n ranks and an array of
// `bytes` on each, algbw = bytes / time, busbw = algbw * 2 (n - 1) / n, both in GB/s. `copy` and `add` are no
// all-reduce but the limit beside it: all ranks copy `bytes` in their own memory, or add them up, at the same time. Rank 0 prints
// one JSON line per size and algorithm.
//
//   mpirun -n 2 bench_all_reduce
//   bench_all_reduce --threads 2 --algorithm ring --most 1048576
//   {"algbw":…,"algorithm":"ring","busbw":…,"bytes":1024,"ranks":2,"seconds":…,"times":…,"transport":"threads"}
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "parallel/background_all_reduce.h"
#include "parallel/communicator.h"
#include "parallel/local_transport.h"
#include "parallel/mpi.h"
#include "parallel/ring_all_reduce.h"
#include "parallel/segments.h"
#include "parallel/tree_all_reduce.h"
#include "tensor/error.h"

namespace convoy {
namespace {

struct Settings {
  int threads = 0;                           // ranks; 0: those that mpirun has started
  std::vector<std::string> algorithms;       // empty: all that the transport has
  int64_t least = 1 << 10, most = 64 << 20;  // bytes
  int64_t factor = 4;
  double seconds = 0.2;  // per size and algorithm
};

// Memory of the pool, as gradients are in: aligned, and on large pages.
std::span<float> memory(Tensor& tensor, size_t floats) {
  if (!tensor.defined() || tensor.count() != static_cast<int64_t>(floats))
    tensor = Tensor::zeros({static_cast<int64_t>(floats)});
  return {tensor.data<float>(), floats};
}

std::span<float> other_memory(size_t floats) {
  thread_local Tensor other;
  return memory(other, floats);
}

void copy(Transport&, std::span<float> values) {
  std::memcpy(other_memory(values.size()).data(), values.data(), values.size_bytes());
}

void add_up(Transport&, std::span<float> values) { add(values, other_memory(values.size())); }

struct Algorithm {
  const char* name;
  AllReduceAlgorithm run;
  bool sums, needs_mpi;
};

constexpr Algorithm kAlgorithms[] = {{"ring", ring_all_reduce, true, false},
                                     {"tree", tree_all_reduce, true, false},
                                     {"mpi", mpi::all_reduce, true, true},
                                     {"copy", copy, false, false},
                                     {"add", add_up, false, false}};

// A rank's ends: `large` is measured, `others` is how ranks agree on what to measure.
struct Rank {
  Communicator others;
  std::unique_ptr<Transport> large;
  const char* transport;
};

using Clock = std::chrono::steady_clock;

// Rank r contributes r + i mod 7 at place i: whole numbers, whose sums are exact in any order.
void check_sum(Rank& rank, const Algorithm& algorithm, std::span<float> values) {
  const int ranks = rank.others.size();
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(rank.others.rank() + static_cast<int>(i % 7));
  algorithm.run(*rank.large, values);
  for (size_t i = 0; i < values.size(); ++i) {
    const auto expected = static_cast<float>(ranks * (ranks - 1) / 2 + ranks * static_cast<int>(i % 7));
    CHECK(values[i] == expected, "all-reduce by {}: element {} of {} is {}, not {}, on rank {} of {}", algorithm.name,
          i, values.size(), values[i], expected, rank.others.rank(), ranks);
  }
  std::ranges::fill(values, 0.0f);  // sums of sums stay what they are
}

// Seconds of one of `times` operations in a row, on the slowest rank.
double time_of(Rank& rank, const Algorithm& algorithm, std::span<float> values, int64_t times) {
  rank.others.barrier();
  const Clock::time_point start = Clock::now();
  for (int64_t i = 0; i < times; ++i) algorithm.run(*rank.large, values);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count() / static_cast<double>(times);
  return std::ranges::max(rank.others.all_gather(seconds));
}

void measure(Rank& rank, const Algorithm& algorithm, int64_t bytes, double budget) {
  constexpr int kSeries = 9;
  Tensor array;
  const std::span<float> values = memory(array, static_cast<size_t>(bytes) / sizeof(float));
  if (algorithm.sums) check_sum(rank, algorithm, values);
  time_of(rank, algorithm, values, 3);
  const double once = std::max(time_of(rank, algorithm, values, 3), 1e-8);
  const auto times = std::clamp<int64_t>(static_cast<int64_t>(budget / kSeries / once), 1, 100'000);
  std::vector<double> series;
  for (int i = 0; i < kSeries; ++i) series.push_back(time_of(rank, algorithm, values, times));
  std::ranges::nth_element(series, series.begin() + kSeries / 2);
  if (rank.others.rank() != 0) return;
  const double ranks = rank.others.size(), seconds = series[kSeries / 2];
  const double algbw = static_cast<double>(values.size_bytes()) / seconds / 1e9;
  std::cout << nlohmann::json{{"transport", rank.transport},
                              {"ranks", rank.others.size()},
                              {"algorithm", algorithm.name},
                              {"bytes", values.size_bytes()},
                              {"seconds", seconds},
                              {"times", times * kSeries},
                              {"algbw", algbw},
                              {"busbw", algbw * 2 * (ranks - 1) / ranks}}
            << std::endl;
}

void measure_all(Rank& rank, const Settings& settings) {
  const bool over_mpi = settings.threads == 0;
  for (int64_t bytes = settings.least; bytes <= settings.most; bytes *= settings.factor) {
    for (const Algorithm& algorithm : kAlgorithms) {
      const bool wanted = settings.algorithms.empty() ? over_mpi || !algorithm.needs_mpi
                                                      : std::ranges::count(settings.algorithms, algorithm.name) > 0;
      if (wanted) measure(rank, algorithm, bytes, settings.seconds);
    }
  }
}

void run_on_threads(const Settings& settings) {
  auto small = make_local_group(settings.threads), large = make_local_group(settings.threads);
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < small.size(); ++i) {
    threads.emplace_back([&, i] {
      Rank rank{{std::move(small[i]), nullptr}, std::move(large[i]), "threads"};
      try {
        measure_all(rank, settings);
      } catch (const Error& error) {
        std::cerr << "bench_all_reduce: " << error.what() << '\n';
        std::_Exit(static_cast<int>(error.kind()));
      }
    });
  }
}

void run_on_processes(const Settings& settings) {
  mpi::Session session;
  Rank rank{{session.open_transport(), nullptr}, session.open_transport(), "mpi"};
  try {
    measure_all(rank, settings);
  } catch (const Error& error) {
    std::cerr << "bench_all_reduce: " << error.what() << '\n';
    mpi::Session::abort(static_cast<int>(error.kind()));
  }
}

}  // namespace
}  // namespace convoy

int main(int argc, char** argv) {
  convoy::Settings settings;
  CLI::App app("Times all-reduce algorithms by size.");
  app.add_option("--threads", settings.threads, "ranks as threads of this process; without it mpirun says")
      ->check(CLI::PositiveNumber);
  app.add_option("--algorithm", settings.algorithms, "ring, tree, mpi, copy or add; may be repeated (default: all)")
      ->check(CLI::IsMember({"ring", "tree", "mpi", "copy", "add"}));
  app.add_option("--least", settings.least, "bytes of the first size")
      ->capture_default_str()
      ->check(CLI::Range(4, 1 << 30));
  app.add_option("--most", settings.most, "bytes of the last size")
      ->capture_default_str()
      ->check(CLI::Range(4, 1 << 30));
  app.add_option("--factor", settings.factor, "between sizes")->capture_default_str()->check(CLI::Range(2, 1024));
  app.add_option("--seconds", settings.seconds, "per size and algorithm")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  try {
    settings.threads > 0 ? convoy::run_on_threads(settings) : convoy::run_on_processes(settings);
  } catch (const convoy::Error& error) {
    std::cerr << "bench_all_reduce: " << error.what() << '\n';
    return static_cast<int>(error.kind());
  }
}
