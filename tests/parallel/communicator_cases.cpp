#include "tests/parallel/communicator_cases.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

#include "parallel/binary_tree.h"
#include "parallel/segments.h"
#include "tensor/philox.h"

namespace convoy {
namespace {

using Floats = std::vector<float>;

// Small whole numbers, whose sums over any number of ranks are exact in any order.
Floats whole_numbers(int64_t count, int rank, int salt = 0) {
  Floats values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i)
    values[static_cast<size_t>(i)] = static_cast<float>((i * 7 + salt) % 1013 * (rank + 1));
  return values;
}

// What all ranks' whole_numbers() add up to: 1 + 2 + … + R times the first rank's.
Floats whole_sum(int64_t count, int ranks, int salt = 0) {
  Floats values = whole_numbers(count, 0, salt);
  for (float& value : values) value *= static_cast<float>(ranks * (ranks + 1) / 2);
  return values;
}

// Numbers of very different sizes: any other order of summation shows.
Floats random_numbers(int64_t count, int rank) {
  const RandomKey key{.seed = 5, .step = static_cast<uint32_t>(rank)};
  Floats values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t word = philox(key, static_cast<uint64_t>(i)).v[0];
    values[static_cast<size_t>(i)] =
        std::ldexp(static_cast<float>(word & 0xffffff) - 0x800000, static_cast<int>(word >> 24) % 24);
  }
  return values;
}

bool same_bits(const Floats& a, const Floats& b) {
  return std::ranges::equal(a, b,
                            [](float x, float y) { return std::bit_cast<uint32_t>(x) == std::bit_cast<uint32_t>(y); });
}

void check_sum(Communicator& communicator, int64_t count) {
  Floats values = whole_numbers(count, communicator.rank());
  communicator.all_reduce(values).wait();
  EXPECT_EQ(values, whole_sum(count, communicator.size())) << count << " values, rank " << communicator.rank();
}

void sums_of_short_arrays(Communicator& communicator) {
  for (int64_t count = 0; count <= 33; ++count) check_sum(communicator, count);
}

void sums_of_lengths_that_divide_by_nothing(Communicator& communicator) {
  for (const int64_t count :
       {int64_t{1013}, kSegmentFloats - 1, kSegmentFloats, kSegmentFloats + 1, 2 * kSegmentFloats + 1,
        3 * kSegmentFloats, 4 * kSegmentFloats + 3, 9 * kSegmentFloats + 7})
    check_sum(communicator, count);
}

void sums_of_random_lengths(Communicator& communicator) {
  for (uint64_t i = 0; i < 40; ++i)
    check_sum(communicator, random_below(philox({.seed = 9}, i).v[0], i % 4 == 0 ? 300'000 : 2'000));
}

void many_sums_at_once_arrive_in_any_order_of_waiting(Communicator& communicator) {
  constexpr int kSums = 60;
  std::vector<Floats> values;
  std::vector<Reduction> sums;
  for (int i = 0; i < kSums; ++i) values.push_back(whole_numbers(i * i * 11, communicator.rank(), i));
  for (Floats& each : values) sums.push_back(communicator.all_reduce(each));
  for (int i = kSums - 1; i >= 0; --i) {
    sums[static_cast<size_t>(i)].wait();
    EXPECT_EQ(values[static_cast<size_t>(i)], whole_sum(i * i * 11, communicator.size(), i)) << i;
  }
}

void every_rank_gets_the_same_bits(Communicator& communicator) {
  for (const int64_t count : {int64_t{1}, int64_t{17}, int64_t{4099}, 2 * kSegmentFloats + 5}) {
    Floats values = random_numbers(count, communicator.rank());
    communicator.all_reduce(values).wait();
    const Floats all = communicator.all_gather(std::span<const float>(values));
    for (int rank = 0; rank < communicator.size(); ++rank) {
      const auto begin = all.begin() + rank * count;
      EXPECT_TRUE(same_bits(values, Floats(begin, begin + count))) << count << " values, rank " << rank;
    }
  }
}

void all_gather_is_in_the_order_of_ranks(Communicator& communicator) {
  const std::vector<int> ranks = communicator.all_gather(communicator.rank());
  for (int rank = 0; rank < communicator.size(); ++rank) EXPECT_EQ(ranks[static_cast<size_t>(rank)], rank);
  const std::vector<int64_t> mine{int64_t{1} << 60, communicator.rank(), -communicator.rank()};
  const std::vector<int64_t> all = communicator.all_gather(std::span(mine));
  ASSERT_EQ(all.size(), 3 * static_cast<size_t>(communicator.size()));
  for (size_t rank = 0; rank < all.size() / 3; ++rank) {
    EXPECT_EQ(all[3 * rank], int64_t{1} << 60);
    EXPECT_EQ(all[3 * rank + 1], static_cast<int64_t>(rank));
    EXPECT_EQ(all[3 * rank + 2], -static_cast<int64_t>(rank));
  }
  EXPECT_TRUE(communicator.all_gather(std::span<const double>()).empty());
}

void broadcast_brings_what_rank_0_has(Communicator& communicator) {
  for (const int64_t count : {0, 1, 1000, 700'001}) {
    Floats values = whole_numbers(count, communicator.rank());
    communicator.broadcast(bytes_of(std::span(values)));
    EXPECT_EQ(values, whole_numbers(count, 0));
  }
}

void small_operations_run_beside_a_sum(Communicator& communicator) {
  for (int round = 0; round < 5; ++round) {
    Floats values = whole_numbers(500'003, communicator.rank(), round);
    Reduction sum = communicator.all_reduce(values);
    int64_t total = 0;
    for (int i = 0; i < 20; ++i) {
      for (const int64_t each : communicator.all_gather(int64_t{communicator.rank() + i})) total += each;
      communicator.barrier();
    }
    const int64_t ranks = communicator.size();
    EXPECT_EQ(total, 20 * ranks * (ranks - 1) / 2 + 190 * ranks);
    sum.wait();
    EXPECT_EQ(values, whole_sum(500'003, communicator.size(), round));
  }
}

constexpr CommunicatorCase kCases[] = {
    {"sums_of_short_arrays", sums_of_short_arrays},
    {"sums_of_lengths_that_divide_by_nothing", sums_of_lengths_that_divide_by_nothing},
    {"sums_of_random_lengths", sums_of_random_lengths},
    {"many_sums_at_once_arrive_in_any_order_of_waiting", many_sums_at_once_arrive_in_any_order_of_waiting},
    {"every_rank_gets_the_same_bits", every_rank_gets_the_same_bits},
    {"all_gather_is_in_the_order_of_ranks", all_gather_is_in_the_order_of_ranks},
    {"broadcast_brings_what_rank_0_has", broadcast_brings_what_rank_0_has},
    {"small_operations_run_beside_a_sum", small_operations_run_beside_a_sum},
};

void sums_follow_the_binary_tree_over_ranks(Communicator& communicator) {
  const auto ranks = static_cast<size_t>(communicator.size());
  if (!std::has_single_bit(ranks)) return;
  for (const int64_t count : {int64_t{1}, int64_t{1013}, 2 * kSegmentFloats + 5}) {
    std::vector<Floats> leaves;
    for (size_t rank = 0; rank < ranks; ++rank) leaves.push_back(random_numbers(count, static_cast<int>(rank)));
    Floats values = leaves[static_cast<size_t>(communicator.rank())];
    communicator.all_reduce(values).wait();
    reduce_tree(ranks, [&](size_t i, size_t j) {
      for (size_t at = 0; at < leaves[i].size(); ++at) leaves[i][at] += leaves[j][at];
    });
    EXPECT_TRUE(same_bits(values, leaves[0])) << count << " values";
  }
}

constexpr CommunicatorCase kReproducibleCases[] = {
    {"sums_follow_the_binary_tree_over_ranks", sums_follow_the_binary_tree_over_ranks},
};

}  // namespace

std::span<const CommunicatorCase> communicator_cases() { return kCases; }
std::span<const CommunicatorCase> reproducible_cases() { return kReproducibleCases; }

}  // namespace convoy
