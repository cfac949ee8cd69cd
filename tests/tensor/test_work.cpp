// Scopes of work: who is told to be at work, after whom, and in which pass.
#include "tensor/work.h"

#include <gtest/gtest.h>

#include <thread>

namespace convoy {
namespace {

const int network = 0, first = 0, second = 0;

TEST(Work, a_layer_is_after_its_last_part_and_a_part_after_nothing) {
  EXPECT_EQ(current_work().layer, nullptr);
  {
    const WorkScope outer(&network);
    EXPECT_EQ(current_work().layer, &network);
    EXPECT_EQ(current_work().after, nullptr);
    {
      const WorkScope inner(&first);
      EXPECT_EQ(current_work().layer, &first);
      EXPECT_EQ(current_work().after, nullptr);
    }
    EXPECT_EQ(current_work().layer, &network);
    EXPECT_EQ(current_work().after, &first);
    { const WorkScope inner(&second); }
    EXPECT_EQ(current_work().after, &second);
    { const WorkScope loss("loss"); }
    EXPECT_EQ(current_work().after, &second);
  }
  EXPECT_EQ(current_work().layer, nullptr);
  EXPECT_EQ(current_work().after, nullptr);
}

TEST(Work, a_pass_is_handed_on_to_the_scopes_within) {
  EXPECT_EQ(current_work().pass, Work::Pass::forward);
  {
    const WorkScope optimizer("optimizer", Work::Pass::update);
    EXPECT_STREQ(current_work().name, "optimizer");
    const WorkScope layer(&first);
    EXPECT_EQ(current_work().pass, Work::Pass::update);
    EXPECT_EQ(current_work().name, nullptr);
  }
  EXPECT_EQ(current_work().pass, Work::Pass::forward);
  EXPECT_EQ(current_work().name, nullptr);
}

TEST(Work, is_the_threads_own) {
  const WorkScope outer(&network);
  const void* seen = &network;
  std::thread([&] { seen = current_work().layer; }).join();
  EXPECT_EQ(seen, nullptr);
}

}  // namespace
}  // namespace convoy
