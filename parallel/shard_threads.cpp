#include "parallel/shard_threads.h"

#include <system_error>
#include <utility>

#include "parallel/eager_wait.h"
#include "tensor/error.h"

namespace convoy {

ShardThreads::ShardThreads(std::vector<std::mutex*> slots, std::function<void(size_t shard)> on_start,
                           std::function<void()> on_error)
    : slots_(std::move(slots)), on_start_(std::move(on_start)), on_error_(std::move(on_error)) {
  threads_.reserve(slots_.size());
  try {
    for (size_t shard = 0; shard < slots_.size(); ++shard) threads_.emplace_back([this, shard] { serve(shard); });
  } catch (const std::system_error& error) {
    stop();
    fail(ErrorKind::device, "data parallel: the thread of shard {} of {} does not start: {}; ask for fewer shards",
         threads_.size() + 1, slots_.size(), error.what());
  }
}

ShardThreads::~ShardThreads() { stop(); }

void ShardThreads::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ShardThreads::run(const std::function<void(size_t shard)>& work) {
  std::unique_lock lock(mutex_);
  work_ = &work;
  running_ = threads_.size();
  ++round_;
  changed_.notify_all();
  wait_eagerly(lock, changed_, [&] { return running_ == 0; });
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void ShardThreads::serve(size_t shard) {
  on_start_(shard);
  std::unique_lock lock(mutex_);
  for (int64_t done = 0;; ++done) {
    wait_eagerly(lock, changed_, [&] { return stopping_ || round_ > done; });
    if (stopping_) return;
    lock.unlock();
    std::exception_ptr error;
    {
      const std::lock_guard slot(*slots_[shard]);
      try {
        (*work_)(shard);
      } catch (...) {
        error = std::current_exception();
      }
    }
    lock.lock();
    if (error && !error_) error_ = error;
    if (error) on_error_();
    if (--running_ == 0) changed_.notify_all();
  }
}

}  // namespace convoy
