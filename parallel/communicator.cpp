#include "parallel/communicator.h"

#include <exception>

namespace convoy {

struct Reduction::State {
  std::span<float> values;
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;  // guarded by mutex, as all below
  std::exception_ptr error;
  Span span;

  void finish(std::exception_ptr with, std::chrono::steady_clock::time_point begin) {
    const std::lock_guard lock(mutex);
    error = std::move(with);
    span = {begin, std::chrono::steady_clock::now()};
    done = true;
    changed.notify_all();
  }
};

void Reduction::wait() {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [&] { return state_->done; });
  if (state_->error) std::rethrow_exception(state_->error);
}

Reduction::Span Reduction::span() const {
  const std::lock_guard lock(state_->mutex);
  return state_->span;
}

Communicator::Communicator(std::unique_ptr<Transport> small, std::unique_ptr<Transport> large, AllReduce algorithm)
    : small_(std::move(small)), large_(std::move(large)), algorithm_(algorithm), thread_([this] { work(); }) {}

Communicator::~Communicator() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Reduction Communicator::all_reduce(std::span<float> values) {
  Reduction reduction;
  reduction.state_ = std::make_shared<Reduction::State>();
  reduction.state_->values = values;
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(reduction.state_);
  }
  changed_.notify_all();
  return reduction;
}

void Communicator::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    const std::shared_ptr<Reduction::State> reduction = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    const auto begin = std::chrono::steady_clock::now();
    std::exception_ptr error;
    try {
      algorithm_(*large_, reduction->values);
    } catch (...) {
      error = std::current_exception();
    }
    reduction->finish(error, begin);
    lock.lock();
  }
}

// Bruck's algorithm, log2 R messages: in each round a rank passes on all it has, and so doubles it. Blocks are kept in
// the order of ranks beginning with its own.
std::vector<std::byte> Communicator::all_gather_bytes(std::span<const std::byte> mine) {
  const size_t block = mine.size(), ranks = static_cast<size_t>(size()), me = static_cast<size_t>(rank());
  std::vector<std::byte> blocks(block * ranks), ordered(block * ranks);
  std::copy(mine.begin(), mine.end(), blocks.begin());
  for (size_t distance = 1; distance < ranks; distance *= 2) {
    const size_t count = std::min(distance, ranks - distance) * block;
    const int to = static_cast<int>((me + ranks - distance) % ranks), from = static_cast<int>((me + distance) % ranks);
    const auto sent = small_->send(to, std::span<const std::byte>(blocks).first(count));
    const auto received = small_->receive(from, std::span(blocks).subspan(distance * block, count));
    received->wait();
    sent->wait();
  }
  std::rotate_copy(blocks.begin(), blocks.end() - static_cast<ptrdiff_t>(me * block), blocks.end(), ordered.begin());
  return ordered;
}

// A binomial tree: in the round of `distance`, ranks below it, which have the data, send to those `distance` further.
void Communicator::broadcast(std::span<std::byte> data) {
  for (int distance = 1; distance < size(); distance *= 2) {
    if (rank() < distance && rank() + distance < size()) small_->send(rank() + distance, data)->wait();
    if (distance <= rank() && rank() < 2 * distance) small_->receive(rank() - distance, data)->wait();
  }
}

void Communicator::abort() {
  small_->abort();
  large_->abort();
}

}  // namespace convoy
