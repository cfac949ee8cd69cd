#include "parallel/background_all_reduce.h"

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

namespace convoy {
namespace {

using Clock = std::chrono::steady_clock;

class State : public Reduction::State {
 public:
  explicit State(std::span<float> values) : values_(values) {}

  std::span<float> values() const { return values_; }

  void finish(std::exception_ptr with, Clock::time_point begin) {
    const std::lock_guard lock(mutex_);
    error_ = std::move(with);
    span_ = {begin, Clock::now()};
    done_ = true;
    changed_.notify_all();
  }

  void wait() override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_; });
    if (error_) std::rethrow_exception(error_);
  }

  Reduction::Span span() const override {
    const std::lock_guard lock(mutex_);
    return span_;
  }

 private:
  const std::span<float> values_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;  // guarded by mutex_, as all below
  std::exception_ptr error_;
  Reduction::Span span_;
};

class BackgroundAllReduce : public AsyncAllReduce {
 public:
  BackgroundAllReduce(std::unique_ptr<Transport> transport, AllReduceAlgorithm algorithm)
      : transport_(std::move(transport)), algorithm_(algorithm), thread_([this] { work(); }) {}

  ~BackgroundAllReduce() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  Reduction start(std::span<float> values) override {
    const auto state = std::make_shared<State>(values);
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back(state);
    }
    changed_.notify_all();
    return Reduction(state);
  }

  void abort() override { transport_->abort(); }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      const std::shared_ptr<State> next = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      const auto begin = Clock::now();
      std::exception_ptr error;
      try {
        algorithm_(*transport_, next->values());
      } catch (...) {
        error = std::current_exception();
      }
      next->finish(error, begin);
      lock.lock();
    }
  }

  std::unique_ptr<Transport> transport_;
  const AllReduceAlgorithm algorithm_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<State>> queue_;  // guarded by mutex_
  bool stopping_ = false;                     // likewise
  std::thread thread_;
};

}  // namespace

std::unique_ptr<AsyncAllReduce> make_background_all_reduce(std::unique_ptr<Transport> transport,
                                                           AllReduceAlgorithm algorithm) {
  return std::make_unique<BackgroundAllReduce>(std::move(transport), algorithm);
}

}  // namespace convoy
