// The median time of a piece of work.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

#include "tensor/seconds_since.h"

namespace convoy {

// In seconds, of as many calls as take `seconds` together, five at least; two calls before them do not count.
inline double median_time(const std::function<void()>& work, double seconds) {
  work();
  work();
  std::vector<double> times;
  for (double spent = 0; spent < seconds || times.size() < 5; spent += times.back()) {
    const auto start = std::chrono::steady_clock::now();
    work();
    times.push_back(seconds_since(start));
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

}  // namespace convoy
