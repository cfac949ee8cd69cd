// Ranks as threads of the test.
#pragma once

#include <exception>
#include <functional>
#include <thread>
#include <vector>

#include "parallel/background_all_reduce.h"
#include "parallel/communicator.h"
#include "parallel/local_transport.h"

namespace convoy {

// What a rank sums with. `small` lives as long.
using OpenSums = std::function<std::unique_ptr<AsyncAllReduce>(Transport& small)>;

// Runs `work` on `ranks` threads, each with its end of one group; rethrows the error of the first
// rank that has one.
inline void on_local_ranks(int ranks, const OpenSums& open_sums, const std::function<void(Communicator&)>& work) {
  auto group = make_local_group(ranks);
  std::vector<std::exception_ptr> errors(static_cast<size_t>(ranks));
  std::vector<std::thread> threads;
  for (size_t rank = 0; rank < group.size(); ++rank) {
    threads.emplace_back([&, rank] {
      std::unique_ptr<Transport> small = std::move(group[rank]);
      Transport& end = *small;
      try {
        std::unique_ptr<AsyncAllReduce> sums = open_sums(*small);
        Communicator communicator(std::move(small), std::move(sums));
        try {
          work(communicator);
        } catch (...) {
          communicator.abort();
          throw;
        }
      } catch (...) {
        errors[rank] = std::current_exception();
        if (small != nullptr) end.abort();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

// Summing over messages between threads. For one on_local_ranks().
inline OpenSums local_sums(int ranks, AllReduceAlgorithm algorithm) {
  const auto group = std::make_shared<std::vector<std::unique_ptr<Transport>>>(make_local_group(ranks));
  return [group, algorithm](Transport& small) {
    return make_background_all_reduce(std::move((*group)[static_cast<size_t>(small.rank())]), algorithm);
  };
}

inline void on_local_ranks(int ranks, AllReduceAlgorithm algorithm, const std::function<void(Communicator&)>& work) {
  on_local_ranks(ranks, local_sums(ranks, algorithm), work);
}

}  // namespace convoy
