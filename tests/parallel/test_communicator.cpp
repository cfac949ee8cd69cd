// The communicator's suite among threads.
#include <gtest/gtest.h>

#include "parallel/ring_all_reduce.h"
#include "parallel/tree_all_reduce.h"
#include "tensor/error.h"
#include "tests/parallel/communicator_cases.h"
#include "tests/parallel/local_ranks.h"

namespace convoy {
namespace {

using Setting = CommunicatorSetting<AllReduceAlgorithm>;

std::vector<Setting> settings() {
  std::vector<Setting> all = communicator_settings<AllReduceAlgorithm>("ring", ring_all_reduce, tree_all_reduce);
  for (const CommunicatorCase& test : communicator_cases()) all.push_back({"tree", tree_all_reduce, 7, test});
  return all;
}

class LocalParallel : public testing::TestWithParam<Setting> {};

TEST_P(LocalParallel, communicator) { on_local_ranks(GetParam().ranks, GetParam().way, GetParam().test.run); }

INSTANTIATE_TEST_SUITE_P(all, LocalParallel, testing::ValuesIn(settings()),
                         [](const auto& info) { return info.param.name(); });

TEST(ParallelAbort, wakes_those_who_wait) {
  for (const AllReduceAlgorithm algorithm : {ring_all_reduce, tree_all_reduce}) {
    std::vector<std::string> errors(3);
    on_local_ranks(3, algorithm, [&](Communicator& communicator) {
      std::vector<float> values(1000);
      if (communicator.rank() == 1) return communicator.abort();
      try {
        communicator.all_reduce(values).wait();
        communicator.barrier();
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::peer);
        errors[static_cast<size_t>(communicator.rank())] = error.what();
      }
    });
    EXPECT_EQ(errors[0], "local transport: another rank has given up");
    EXPECT_EQ(errors[2], errors[0]);
  }
}

}  // namespace
}  // namespace convoy
