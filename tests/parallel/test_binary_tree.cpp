// The order of sums, and that it may be continued elsewhere.
#include "parallel/binary_tree.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "parallel/layout.h"
#include "tensor/cut.h"

namespace convoy {
namespace {

using Leaves = std::vector<std::string>;

// The tree over `leaves`, written down.
std::string tree(Leaves leaves) {
  reduce_tree(leaves.size(), [&](size_t i, size_t j) { leaves[i] = "(" + leaves[i] + leaves[j] + ")"; });
  return leaves.front();
}

TEST(BinaryTree, is_balanced) {
  EXPECT_EQ(tree({"0"}), "0");
  EXPECT_EQ(tree({"0", "1"}), "(01)");
  EXPECT_EQ(tree({"0", "1", "2"}), "((01)2)");
  EXPECT_EQ(tree({"0", "1", "2", "3"}), "((01)(23))");
  EXPECT_EQ(tree({"0", "1", "2", "3", "4", "5", "6"}), "(((01)(23))((45)6))");
}

TEST(BinaryTree, is_the_same_when_ranks_and_replicas_sum_their_leaves_first) {
  const Leaves leaves{"0", "1", "2", "3", "4", "5", "6", "7"};
  for (const size_t parts : {1u, 2u, 4u, 8u}) {
    Leaves sums;
    for (size_t part = 0; part < parts; ++part) {
      const auto begin = leaves.begin() + static_cast<ptrdiff_t>(part * 8 / parts);
      sums.push_back(tree({begin, begin + static_cast<ptrdiff_t>(8 / parts)}));
    }
    EXPECT_EQ(tree(sums), tree(leaves)) << parts << " parts";
  }
}

TEST(Cut, parts_cover_everything_once_and_nest) {
  for (const int64_t count : {0, 1, 2, 7, 64, 1013}) {
    for (const int64_t parts : {1, 2, 3, 4, 8, 16}) {
      int64_t end = 0;
      for (int64_t part = 0; part < parts; ++part) {
        const Range range = cut(count, part, parts);
        EXPECT_EQ(range.begin, end);
        EXPECT_LE(std::abs(range.size() * parts - count), parts);
        EXPECT_EQ(range, (Range{cut(count, 2 * part, 2 * parts).begin, cut(count, 2 * part + 1, 2 * parts).end}));
        end = range.end;
      }
      EXPECT_EQ(end, count);
    }
  }
}

TEST(Layout, replicas_have_consecutive_shards) {
  const Layout layout{.rank = 1, .ranks = 2, .replicas = 2, .shards = 8};
  EXPECT_EQ(layout.local_shards(), 4);
  EXPECT_EQ(layout.first_shard(), 4);
  EXPECT_EQ(layout.replica_of(0), 0);
  EXPECT_EQ(layout.replica_of(1), 0);
  EXPECT_EQ(layout.replica_of(2), 1);
  EXPECT_EQ(layout.replica_of(3), 1);
}

}  // namespace
}  // namespace convoy
