// Waiting for another thread that is likely to be quick.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

namespace convoy {

// Until `condition` holds; called, and returns, with `lock` held. It looks a hundred times, giving its core away in between, before it
// sleeps: to be woken costs about 0.1 ms (bench/all_reduce.py, small arrays between threads), as much as the work that is waited for.
template <class Condition>
void wait_eagerly(std::unique_lock<std::mutex>& lock, std::condition_variable& changed, const Condition& condition) {
  constexpr int kLooks = 100;
  for (int looks = 0; looks < kLooks; ++looks) {
    if (condition()) return;
    lock.unlock();
    std::this_thread::yield();
    lock.lock();
  }
  changed.wait(lock, condition);
}

}  // namespace convoy
