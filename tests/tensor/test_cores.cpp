// Threads stay on the cores that they were given, and no two of them on the same.
#include "tensor/cores.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <cstdlib>
#include <set>
#include <thread>

namespace convoy {
namespace {

// Whose cores the calling thread may run on.
std::set<int> cores_of_thread() {
  cpu_set_t set;
  EXPECT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  std::set<int> cores;
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &set)) cores.insert(core);
  return cores;
}

// Those of a new thread that keeps to a share; and of one that it starts then.
std::set<int> cores_of_share(int index, int shares, int threads) {
  std::set<int> cores, inherited;
  std::thread([&] {
    keep_to_share_of_cores(index, shares, threads);
    cores = cores_of_thread();
    EXPECT_EQ(available_cores(), static_cast<int>(cores.size()));
    std::thread([&] { inherited = cores_of_thread(); }).join();
  }).join();
  EXPECT_EQ(inherited, cores);
  return cores;
}

class Cores : public ::testing::Test {
 protected:
  void SetUp() override {
    if (openmp_is_bound()) GTEST_SKIP() << "OpenMP's threads are bound to cores by the environment";
  }
  const std::set<int> all_ = cores_of_thread();
  const int count_ = available_cores();
};

TEST_F(Cores, shares_are_all_cores_and_have_none_in_common) {
  for (int shares = 1; shares <= count_; ++shares) {
    std::set<int> together;
    for (int index = 0; index < shares; ++index) {
      const std::set<int> share = cores_of_share(index, shares, 1);
      EXPECT_GE(static_cast<int>(share.size()), count_ / shares);
      for (const int core : share) EXPECT_TRUE(together.insert(core).second) << "core " << core << " is in two shares";
    }
    EXPECT_EQ(together, all_);
  }
}

TEST_F(Cores, too_small_a_share_keeps_nobody) {
  EXPECT_EQ(cores_of_share(0, 1, count_ + 1), all_);
  EXPECT_EQ(cores_of_share(0, count_ + 1, 1), all_) << "the first of more shares than cores has none";
}

TEST_F(Cores, threads_that_the_user_has_bound_stay_there) {
  setenv("OMP_PLACES", "cores", 1);
  EXPECT_EQ(cores_of_share(0, count_, 1), all_);
  unsetenv("OMP_PLACES");
}

}  // namespace
}  // namespace convoy
