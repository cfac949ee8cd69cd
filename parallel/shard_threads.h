// The threads that compute the shards of one process: one for each shard, and with it a tape of its own. A replica is a
// slot: of the shards that share it one computes at a time, until it ends or waits for the others in a ShardExchange.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace convoy {

class ShardThreads {
 public:
  // Shard i computes on slots[i]; shards may share one. Its thread calls on_start(i) first. `on_error` is called on the thread
  // of a shard that has failed, to wake others that would wait for it. Throws Error(device) when a thread does not start.
  ShardThreads(std::vector<std::mutex*> slots, std::function<void(size_t shard)> on_start,
               std::function<void()> on_error);
  ~ShardThreads();
  ShardThreads(const ShardThreads&) = delete;
  ShardThreads& operator=(const ShardThreads&) = delete;

  // Runs work(i) for every shard; returns when all are done. Throws the error that happened first.
  void run(const std::function<void(size_t shard)>& work);

 private:
  void serve(size_t shard);
  void stop();

  std::vector<std::mutex*> slots_;
  const std::function<void(size_t)> on_start_;
  std::function<void()> on_error_;

  // --- guarded by mutex_
  std::mutex mutex_;
  std::condition_variable changed_;
  const std::function<void(size_t)>* work_ = nullptr;
  int64_t round_ = 0;
  size_t running_ = 0;
  std::exception_ptr error_;
  bool stopping_ = false;

  std::vector<std::thread> threads_;
};

}  // namespace convoy
