#include "tensor/cores.h"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "tensor/cut.h"

namespace convoy {

int available_cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

bool openmp_is_bound() {
  const auto is_set = [](const char* name) { return std::getenv(name) != nullptr; };
  return is_set("OMP_PROC_BIND") || is_set("OMP_PLACES") || is_set("GOMP_CPU_AFFINITY");
}

void keep_to_share_of_cores(int index, int shares, int threads) {
  if (openmp_is_bound()) return;
  cpu_set_t all, mine;
  if (sched_getaffinity(0, sizeof all, &all) != 0) return;
  const Range range = cut(CPU_COUNT(&all), index, shares);
  if (range.size() < threads) return;
  CPU_ZERO(&mine);
  int64_t number = 0;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(core, &all)) continue;
    if (number >= range.begin && number < range.end) CPU_SET(core, &mine);
    ++number;
  }
  sched_setaffinity(0, sizeof mine, &mine);
}

}  // namespace convoy
