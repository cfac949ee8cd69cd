// Buckets: what goes into one, when it is summed, and that nothing is lost.
#include "parallel/gradient_buckets.h"

#include <gtest/gtest.h>

#include "autograd/autograd.h"
#include "parallel/ring_all_reduce.h"
#include "tests/parallel/local_ranks.h"

namespace convoy {
namespace {

// Parameters of 10, 20 and 30 elements.
std::vector<Variable> parameters() {
  std::vector<Variable> all;
  for (const int64_t count : {10, 20, 30}) all.emplace_back(Tensor::full({count}, 1), true);
  return all;
}

// d loss / d parameter i is factor * (i + 1), everywhere. The last parameter's gradient is complete first.
Variable loss_of(const std::vector<Variable>& all, float factor) {
  Variable loss = sum(scale(all[0], factor));
  for (size_t i = 1; i < all.size(); ++i) loss = add(loss, sum(scale(all[i], factor * static_cast<float>(i + 1))));
  return loss;
}

TEST(GradientBuckets, hold_as_many_parameters_as_fit_and_at_least_one) {
  const auto count = [](int64_t bytes) { return GradientBuckets({parameters()}, bytes, nullptr).count(); };
  EXPECT_EQ(count(1), 3u);
  EXPECT_EQ(count(4 * 49), 2u);  // 30, 20 + 10
  EXPECT_EQ(count(4 * 50), 2u);  // 30 + 20, 10
  EXPECT_EQ(count(4 * 60), 1u);
}

TEST(GradientBuckets, sum_shards_of_all_ranks_into_the_first_shard) {
  for (const int64_t bytes : {1, 4 * 50, 1 << 20}) {
    on_local_ranks(3, ring_all_reduce, [&](Communicator& communicator) {
      const std::vector<std::vector<Variable>> shards{parameters(), parameters()};
      GradientBuckets buckets(shards, bytes, &communicator);
      for (int step = 0; step < 3; ++step) {
        for (const std::vector<Variable>& shard : shards)
          for (Variable parameter : shard) parameter.clear_grad();
        const auto factor = static_cast<float>(communicator.rank() + 1);
        loss_of(shards[0], factor).backward();  // a micro-batch that is not yet summed
        loss_of(shards[1], factor).backward();
        buckets.start();
        loss_of(shards[1], factor).backward();
        loss_of(shards[0], factor).backward();
        buckets.finish();
        for (size_t i = 0; i < 3; ++i) {
          // 2 shards x 2 micro-batches x (1 + 2 + 3) ranks.
          for (int64_t at = 0; at < shards[0][i].shape().count(); ++at)
            EXPECT_EQ(shards[0][i].grad().data<float>()[at], 24 * static_cast<float>(i + 1));
        }
      }
    });
  }
}

TEST(GradientBuckets, a_parameter_outside_the_loss_holds_nothing_up) {
  const std::vector<std::vector<Variable>> shards{parameters(), parameters()};
  GradientBuckets buckets(shards, 1, nullptr);
  buckets.start();
  for (const std::vector<Variable>& shard : shards) sum(shard[0]).backward();
  buckets.finish();
  EXPECT_EQ(shards[0][0].grad().data<float>()[0], 2);
  EXPECT_FALSE(shards[0][1].has_grad());
}

TEST(GradientBuckets, hooks_may_outlive_them) {
  const std::vector<Variable> shard = parameters();
  { GradientBuckets({shard}, 1, nullptr).start(); }
  loss_of(shard, 1).backward();
  EXPECT_EQ(shard[2].grad().data<float>()[0], 3);
}

}  // namespace
}  // namespace convoy
