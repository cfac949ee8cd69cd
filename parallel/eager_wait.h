// Waiting for another thread that is likely to be quick.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

namespace convoy {

// Until `condition` holds; called, and returns, with `lock` held. It looks a hundred times, giving its core away in
// between, before it sleeps: to be woken can take longer than the work that is waited for. On two cores of a Xeon a sum
// of 1 KiB between two threads takes 24 µs so, and took 184 µs with sleeping alone (bench/all_reduce.py).
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
