// How fast are our all-reduce algorithms, by size? Between processes (MPI) when mpirun has started this program,
// between threads of one with --threads, between GPUs (NCCL) with --gpus. Definitions are those of nccl-tests
// (doc/PERFORMANCE.md): for n ranks and an array of `bytes` on each, algbw = bytes / time, busbw = algbw * 2 (n - 1) /
// n, both in GB/s. `copy` and `add` are no all-reduce but the limit beside it: all ranks copy `bytes` in their own
// memory, or add them up, at the same time. Rank 0 prints one JSON line per size and algorithm.
//
//   mpirun -n 2 bench_all_reduce
//   bench_all_reduce --threads 2 --algorithm ring --most 1048576
//   bench_all_reduce --gpus 8
//   {"algbw":…,"algorithm":"ring","busbw":…,"bytes":1024,"ranks":2,"seconds":…,"times":…,"transport":"threads"}
#include <algorithm>
#include <chrono>
#include <cstring>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "bench/command_line.h"
#include "parallel/background_all_reduce.h"
#include "parallel/communicator.h"
#include "parallel/local_transport.h"
#include "parallel/mpi.h"
#include "parallel/nccl.h"
#include "parallel/ring_all_reduce.h"
#include "parallel/segments.h"
#include "parallel/tree_all_reduce.h"
#include "tensor/cuda/cuda.h"
#include "tensor/error.h"
#include "tensor/seconds_since.h"

namespace convoy {
namespace {

struct Settings {
  int threads = 0;                           // ranks; 0: those that mpirun has started, or
  int gpus = 0;                              // ranks with a GPU each
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
  AllReduceAlgorithm run;  // null: between GPUs
  bool sums, needs_mpi;
  nccl::Order order = nccl::Order::any;
};

constexpr Algorithm kAlgorithms[] = {{"ring", ring_all_reduce, true, false},
                                     {"tree", tree_all_reduce, true, false},
                                     {"mpi", mpi::all_reduce, true, true},
                                     {"copy", copy, false, false},
                                     {"add", add_up, false, false},
                                     {"nccl", nullptr, true, false, nccl::Order::any},
                                     {"nccl-tree", nullptr, true, false, nccl::Order::tree}};

// A rank's ends: `large`, or the GPU's, are measured, `others` is how ranks agree on what to measure.
struct Rank {
  Communicator others;
  std::unique_ptr<Transport> large;
  const char* transport;
  std::map<nccl::Order, std::unique_ptr<AsyncAllReduce>> gpus = {};

  // Does it `times` times, one behind the other.
  void run(const Algorithm& algorithm, std::span<float> values, int64_t times) {
    for (int64_t i = 1; i <= times; ++i) {
      if (algorithm.run != nullptr) {
        algorithm.run(*large, values);
        continue;
      }
      Reduction sum = gpus.at(algorithm.order)->start(values);
      if (i == times) sum.wait();
    }
  }
};

using Clock = std::chrono::steady_clock;

// Rank r contributes r + i mod 7 at place i: whole numbers, whose sums are exact in any order.
void check_sum(Rank& rank, const Algorithm& algorithm, Tensor& array) {
  const int ranks = rank.others.size();
  Tensor here = array.to(Device{});
  const std::span<float> values(here.data<float>(), static_cast<size_t>(here.count()));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(rank.others.rank() + static_cast<int>(i % 7));
  array.copy_from(here);
  rank.run(algorithm, {array.data<float>(), values.size()}, 1);
  here.copy_from(array);
  for (size_t i = 0; i < values.size(); ++i) {
    const auto expected = static_cast<float>(ranks * (ranks - 1) / 2 + ranks * static_cast<int>(i % 7));
    CHECK(values[i] == expected, "all-reduce by {}: element {} of {} is {}, not {}, on rank {} of {}", algorithm.name,
          i, values.size(), values[i], expected, rank.others.rank(), ranks);
  }
  std::ranges::fill(values, 0.0f);  // sums of sums stay what they are
  array.copy_from(here);
}

// Seconds of one of `times` operations in a row, on the slowest rank.
double time_of(Rank& rank, const Algorithm& algorithm, std::span<float> values, int64_t times) {
  rank.others.barrier();
  const Clock::time_point start = Clock::now();
  rank.run(algorithm, values, times);
  const double seconds = seconds_since(start) / static_cast<double>(times);
  return std::ranges::max(rank.others.all_gather(seconds));
}

void measure(Rank& rank, const Algorithm& algorithm, int64_t bytes, double budget) {
  constexpr int kSeries = 9;
  Tensor array;
  const std::span<float> values = memory(array, static_cast<size_t>(bytes) / sizeof(float));
  if (algorithm.sums) check_sum(rank, algorithm, array);
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
  const bool over_mpi = settings.threads == 0 && settings.gpus == 0;
  for (int64_t bytes = settings.least; bytes <= settings.most; bytes *= settings.factor) {
    for (const Algorithm& algorithm : kAlgorithms) {
      if ((algorithm.run == nullptr) != (settings.gpus > 0)) continue;
      const bool wanted = settings.algorithms.empty() ? over_mpi || !algorithm.needs_mpi
                                                      : std::ranges::count(settings.algorithms, algorithm.name) > 0;
      if (wanted) measure(rank, algorithm, bytes, settings.seconds);
    }
  }
}

void run_on_threads(const Settings& settings) {
  const int ranks = settings.threads + settings.gpus;
  auto small = make_local_group(ranks), large = make_local_group(ranks), ids = make_local_group(ranks);
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < small.size(); ++i) {
    threads.emplace_back([&, i] {
      Rank rank{{std::move(small[i]), nullptr}, std::move(large[i]), settings.gpus > 0 ? "nccl" : "threads"};
      try {
        if (settings.gpus > 0) {
          const int gpu = static_cast<int>(i);
          set_current_stream(cuda::make_stream(gpu));
          for (const nccl::Order order : {nccl::Order::any, nccl::Order::tree})
            rank.gpus[order] = nccl::make_all_reduce(*ids[i], gpu, order);
        }
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
      ->check(convoy::kThreads);
  app.add_option("--gpus", settings.gpus, "ranks as threads of this process with a GPU each")
      ->check(convoy::kThreads)
      ->excludes("--threads");
  app.add_option("--algorithm", settings.algorithms,
                 "ring, tree, mpi, copy, add, or of GPUs nccl, nccl-tree; may be repeated (default: all)")
      ->check(CLI::IsMember({"ring", "tree", "mpi", "copy", "add", "nccl", "nccl-tree"}));
  app.add_option("--least", settings.least, "bytes of the first size")
      ->capture_default_str()
      ->check(CLI::Range(4, 1 << 30));
  app.add_option("--most", settings.most, "bytes of the last size")
      ->capture_default_str()
      ->check(CLI::Range(4, 1 << 30));
  app.add_option("--factor", settings.factor, "between sizes")->capture_default_str()->check(CLI::Range(2, 1024));
  app.add_option("--seconds", settings.seconds, "per size and algorithm")
      ->capture_default_str()
      ->check(convoy::kSeconds);
  return convoy::run_program(app, argc, argv, [&] {
    settings.threads + settings.gpus > 0 ? convoy::run_on_threads(settings) : convoy::run_on_processes(settings);
  });
}
