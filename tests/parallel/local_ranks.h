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

// Runs `work` on `ranks` threads, each with its end of one group; rethrows the error of the first
// rank that has one.
inline void on_local_ranks(int ranks, AllReduceAlgorithm algorithm, const std::function<void(Communicator&)>& work) {
  auto small = make_local_group(ranks), large = make_local_group(ranks);
  std::vector<std::exception_ptr> errors(static_cast<size_t>(ranks));
  std::vector<std::thread> threads;
  for (size_t rank = 0; rank < small.size(); ++rank) {
    threads.emplace_back([&, rank] {
      Communicator communicator(std::move(small[rank]), make_background_all_reduce(std::move(large[rank]), algorithm));
      try {
        work(communicator);
      } catch (...) {
        errors[rank] = std::current_exception();
        communicator.abort();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace convoy
