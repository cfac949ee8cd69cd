// Batch norm over parts of a batch equals batch norm over the whole.
#include "parallel/shard_exchange.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "parallel/shard_threads.h"
#include "parallel/tree_all_reduce.h"
#include "tensor/cut.h"
#include "tensor/philox.h"
#include "tests/parallel/local_ranks.h"

namespace convoy {
namespace {

constexpr int64_t kChannels = 5;

// Far from 0, so that careless sums of squares would lose all digits.
Tensor rows(int64_t count) {
  Tensor x = Tensor::empty({count, kChannels});
  for (int64_t i = 0; i < x.count(); ++i)
    x.data<float>()[i] =
        1000.0f * static_cast<float>(i % kChannels) + random_uniform({.seed = 2}, static_cast<uint64_t>(i));
  return x;
}

// Merges the statistics of `parts` of x on threads of one process that share one slot.
std::vector<BatchStatistics> merged(const Tensor& x, const std::vector<Range>& parts, Communicator* others) {
  std::mutex slot;
  const std::vector<std::mutex*> slots(parts.size(), &slot);
  ShardExchange exchange(slots, others);
  ShardThreads threads(
      slots, [](size_t) {}, [&] { exchange.close(); });
  std::vector<BatchStatistics> results(parts.size());
  threads.run([&](size_t shard) {
    BatchStatistics statistics = batch_norm_statistics(x.slice(parts[shard].begin, parts[shard].end));
    const int64_t total = exchange.of_shard(shard).merge(parts[shard].size(), statistics);
    EXPECT_EQ(total, x.size(0));
    results[shard] = statistics;
  });
  return results;
}

void expect_whole(const BatchStatistics& merged, const Tensor& x) {
  const BatchStatistics whole = batch_norm_statistics(x);
  // Means of parts come as floats, up to 4000 and so off by half of 2^-12; where they are less than 1 apart, that moves the
  // variance by less than 2^-12.
  for (int64_t c = 0; c < kChannels; ++c) {
    EXPECT_FLOAT_EQ(merged.mean.data<float>()[c], whole.mean.data<float>()[c]);
    EXPECT_NEAR(merged.variance.data<float>()[c], whole.variance.data<float>()[c], 0x1p-12);
  }
}

TEST(ShardExchangeOfThreads, statistics_of_parts_are_those_of_the_whole) {
  const Tensor x = rows(101);
  for (const std::vector<Range>& parts :
       {std::vector<Range>{{0, 101}}, {{0, 50}, {50, 101}}, {{0, 0}, {0, 1}, {1, 1}, {1, 99}, {99, 101}, {101, 101}}})
    for (const BatchStatistics& statistics : merged(x, parts, nullptr)) expect_whole(statistics, x);
}

TEST(ShardExchangeOfThreads, ranks_and_shards_together_make_the_whole) {
  const Tensor x = rows(101);
  on_local_ranks(3, tree_all_reduce, [&](Communicator& communicator) {
    std::vector<Range> parts;
    for (int64_t shard = 0; shard < 2; ++shard) parts.push_back(cut(101, 2 * communicator.rank() + shard, 6));
    for (const BatchStatistics& statistics : merged(x, parts, &communicator)) expect_whole(statistics, x);
  });
}

TEST(ShardExchangeOfThreads, the_time_between_ranks_is_told_once_and_there_is_none_within_a_process) {
  constexpr auto kLate = std::chrono::milliseconds(100);
  const Tensor x = rows(20);
  on_local_ranks(2, tree_all_reduce, [&](Communicator& communicator) {
    std::mutex slot;
    ShardExchange exchange({&slot}, &communicator);
    BatchStatistics statistics = batch_norm_statistics(x);
    if (communicator.rank() == 1) std::this_thread::sleep_for(kLate);
    exchange.of_shard(0).merge(20, statistics);
    const double seconds = exchange.take_seconds_between_ranks();
    EXPECT_GT(seconds, 0);
    // Half of it leaves room for a rank 0 that is late itself.
    if (communicator.rank() == 0) {
      EXPECT_GT(seconds, 0.05);
    }
    EXPECT_EQ(exchange.take_seconds_between_ranks(), 0);
  });
  std::mutex slot;
  ShardExchange alone({&slot}, nullptr);
  BatchStatistics statistics = batch_norm_statistics(x);
  alone.of_shard(0).merge(20, statistics);
  EXPECT_EQ(alone.take_seconds_between_ranks(), 0);
}

TEST(ShardExchangeOfThreads, no_rows_at_all_have_no_statistics) {
  const Tensor x = rows(0);
  for (const BatchStatistics& statistics : merged(x, {{0, 0}, {0, 0}}, nullptr)) {
    for (int64_t c = 0; c < kChannels; ++c) {
      EXPECT_EQ(statistics.mean.data<float>()[c], 0);
      EXPECT_EQ(statistics.variance.data<float>()[c], 0);
    }
  }
}

TEST(ShardExchangeOfThreads, sums_are_of_all_parts_and_leave_the_old_tensors_alone) {
  std::mutex slots[3];
  ShardExchange exchange({&slots[0], &slots[1], &slots[2]}, nullptr);
  ShardThreads threads(
      {&slots[0], &slots[1], &slots[2]}, [](size_t) {}, [&] { exchange.close(); });
  for (int round = 0; round < 50; ++round) {
    threads.run([&](size_t shard) {
      const auto own = static_cast<float>(shard + 1);
      const Tensor before = Tensor::full({2}, own);
      Tensor dgamma = before, dbeta = Tensor::full({2}, 10 * own);
      exchange.of_shard(shard).sum(dgamma, dbeta);
      EXPECT_EQ(dgamma.data<float>()[1], 6);
      EXPECT_EQ(dbeta.data<float>()[0], 60);
      EXPECT_EQ(before.data<float>()[1], own);
    });
  }
}

}  // namespace
}  // namespace convoy
