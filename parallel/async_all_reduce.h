// All-reduces that go on beside the caller: over messages, by a thread (background_all_reduce.h), or between GPUs by NCCL
// (nccl.h).
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <utility>

namespace convoy {

// An all-reduce under way.
class Reduction {
 public:
  struct Span {
    std::chrono::steady_clock::time_point begin, end;
  };
  class State {
   public:
    virtual ~State() = default;
    virtual void wait() = 0;
    virtual Span span() const = 0;
  };
  explicit Reduction(std::shared_ptr<State> state) : state_(std::move(state)) {}

  // Blocks until the sum is there. Throws what went wrong with it.
  void wait() { state_->wait(); }
  // After wait(): when its turn had come, and when it was done.
  Span span() const { return state_->span(); }

 private:
  std::shared_ptr<State> state_;
};

// Collective: all ranks start the same sums in the same order.
class AsyncAllReduce {
 public:
  virtual ~AsyncAllReduce() = default;

  // values [n] = the sum over all ranks, the same bits on every rank. The memory belongs to the operation until wait()
  // returns. On a GPU it is read in the order of current_stream(). From any thread.
  virtual Reduction start(std::span<float> values) = 0;

  // What waits on this rank throws Error(peer), on others by the time they find this one gone; or the process ends. From
  // any thread.
  virtual void abort() = 0;
};

}  // namespace convoy
