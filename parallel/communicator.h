// Communicator: what a rank of a job says to all others. Every operation is collective: all ranks call it, in the same
// order, with the same sizes.
//
//   Reduction sum = communicator.all_reduce(gradients);   // goes on beside the caller
//   ...
//   sum.wait();
//
// Threads: all_reduce() may be called from any thread. The small operations run at once on the calling thread, on messages
// of their own, so they do not queue behind an all_reduce; one thread at a time may be in one of them.
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

#include "parallel/async_all_reduce.h"
#include "parallel/transport.h"

namespace convoy {

class Communicator {
 public:
  // `small` and `sums`: of the same rank and group. `sums` may be null where no all_reduce is asked for.
  Communicator(std::unique_ptr<Transport> small, std::unique_ptr<AsyncAllReduce> sums)
      : small_(std::move(small)), sums_(std::move(sums)) {}

  int rank() const { return small_->rank(); }
  int size() const { return small_->size(); }

  // values [n] = the sum over all ranks; see AsyncAllReduce::start().
  Reduction all_reduce(std::span<float> values) { return sums_->start(values); }

  // --- small operations ---------------------------------------------------------------------------------------------
  // Everybody's `mine`, of equal length, one behind the other in the order of ranks.
  std::vector<std::byte> all_gather_bytes(std::span<const std::byte> mine);
  template <class T>
  std::vector<T> all_gather(std::span<const T> mine);
  template <class T>
  std::vector<T> all_gather(const T& mine) {
    return all_gather(std::span<const T>(&mine, 1));
  }
  // data = rank 0's, on all ranks.
  void broadcast(std::span<std::byte> data);
  void barrier() { all_gather(char{0}); }

  // Ends the job on all ranks: what waits throws Error(peer), or the process ends. From any thread.
  void abort();

 private:
  std::unique_ptr<Transport> small_;
  std::unique_ptr<AsyncAllReduce> sums_;
};

template <class T>
std::vector<T> Communicator::all_gather(std::span<const T> mine) {
  static_assert(std::is_trivially_copyable_v<T>);
  const std::vector<std::byte> bytes = all_gather_bytes(bytes_of(mine));
  std::vector<T> all(mine.size() * static_cast<size_t>(size()));
  std::copy(bytes.begin(), bytes.end(), std::as_writable_bytes(std::span(all)).begin());
  return all;
}

}  // namespace convoy
