// Communicator: what a rank of a job says to all others. Every operation is collective: all ranks call it, in the same
// order, with the same sizes.
//
//   Reduction sum = communicator.all_reduce(gradients);   // goes on beside the caller
//   ...
//   sum.wait();
//
// Threads: all_reduce() may be called from any thread; one thread of the communicator does them one after the other, in
// the order of the calls, on the transport `large`. The small operations run at once on the calling thread, on the
// transport `small`, so they do not queue behind an all_reduce; one thread at a time may be in one of them.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <type_traits>
#include <vector>

#include "parallel/transport.h"

namespace convoy {

// An all_reduce under way.
class Reduction {
 public:
  // Blocks until the sum is there. Throws what went wrong with it.
  void wait();

  // After wait(): when its turn had come, and when it was done.
  struct Span {
    std::chrono::steady_clock::time_point begin, end;
  };
  Span span() const;

 private:
  friend class Communicator;
  struct State;
  std::shared_ptr<State> state_;
};

class Communicator {
 public:
  // values [n] = the sum over all ranks: ring_all_reduce(), tree_all_reduce() or a library's.
  using AllReduce = void (*)(Transport&, std::span<float> values);

  // Two transports of the same rank and group.
  Communicator(std::unique_ptr<Transport> small, std::unique_ptr<Transport> large, AllReduce algorithm);
  ~Communicator();  // finishes what has been started, unless aborted
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  int rank() const { return small_->rank(); }
  int size() const { return small_->size(); }

  // values [n] = the sum over all ranks. The memory belongs to the operation until wait() returns.
  Reduction all_reduce(std::span<float> values);

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
  void work();

  std::unique_ptr<Transport> small_, large_;
  AllReduce algorithm_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Reduction::State>> queue_;  // guarded by mutex_
  bool stopping_ = false;                                // likewise
  std::thread thread_;
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
