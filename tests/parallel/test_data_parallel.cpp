// Parallel is right when it equals serial at the same global batch: to the last bit along the tree, up to rounding
// around the ring.
#include <gtest/gtest.h>
#include <sched.h>

#include <array>

#include "parallel/ring_all_reduce.h"
#include "parallel/tree_all_reduce.h"
#include "tensor/cores.h"
#include "tensor/error.h"
#include "tests/parallel/small_training.h"

namespace convoy {
namespace {

const SmallTraining kTraining;

TEST(DataParallel, one_shard_is_the_plain_training_bit_for_bit) {
  EXPECT_EQ(train_in_parallel(kTraining, {}, nullptr), train_plainly(kTraining));
}

TEST(DataParallel, shards_on_one_slot_equal_the_plain_training_up_to_rounding) {
  const Trained plain = train_plainly(kTraining);
  for (const int shards : {2, 3, 8, 16}) expect_close(train_in_parallel(kTraining, {.shards = shards}, nullptr), plain);
}

TEST(DataParallel, tree_gives_the_same_bits_whoever_computes_the_shards) {
  for (const int shards : {4, 8, 16}) {
    const Trained serial = train_in_parallel(kTraining, {.shards = shards}, nullptr);
    for (const int threads : {1, 3}) {
      SmallTraining other = kTraining;
      other.threads = threads;
      EXPECT_EQ(train_in_parallel(other, {.shards = shards}, nullptr), serial) << threads << " threads";
    }
    for (const int ranks : {1, 2, 4}) {
      for (const int replicas : {1, 2, 4}) {
        if (shards % (ranks * replicas) != 0) continue;
        const Layout layout{.ranks = ranks, .replicas = replicas, .shards = shards};
        EXPECT_EQ(train_on_local_ranks(kTraining, layout, local_sums(ranks, tree_all_reduce)), serial)
            << shards << " shards, " << ranks << " ranks of " << replicas << " replicas";
      }
    }
  }
}

TEST(DataParallel, ring_equals_the_plain_training_up_to_rounding) {
  const Trained plain = train_plainly(kTraining);
  for (const int ranks : {1, 2, 3, 4}) {
    for (const int replicas : {1, 2, 3}) {
      const Layout layout{.ranks = ranks, .replicas = replicas, .shards = ranks * replicas};
      expect_close(train_on_local_ranks(kTraining, layout, local_sums(ranks, ring_all_reduce)), plain);
    }
  }
}

TEST(DataParallel, micro_batches_give_the_same_bits_on_any_layout) {
  SmallTraining training = kTraining;
  training.micro_batches = 3;
  const Trained serial = train_in_parallel(training, {.shards = 4}, nullptr);
  EXPECT_EQ(train_on_local_ranks(training, {.ranks = 2, .replicas = 2, .shards = 4}, local_sums(2, tree_all_reduce)),
            serial);
  EXPECT_EQ(train_on_local_ranks(training, {.ranks = 4, .shards = 4}, local_sums(4, tree_all_reduce)), serial);
}

TEST(DataParallel, first_error_of_a_shard_is_thrown_and_nobody_waits_for_it) {
  const std::unique_ptr<Module> net = small_net();
  initialise(*net, 1);
  DataParallel parallel(*net, small_net, {.layout = {.replicas = 2, .shards = 4}, .streams = {2, Stream{}}}, nullptr);
  parallel.begin_step();
  const Tensor images = Tensor::zeros({8, 10, 9, 2}), labels = Tensor::zeros({8}, DType::i32);
  try {
    parallel.run(images, labels, {.size = 8, .piece = {0, 8}, .here = {0, 8}}, [](const Shard& shard) {
      if (shard.index == 2) fail(ErrorKind::numeric, "shard {} fails", shard.index);
      shard.net(Variable(shard.images));
    });
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "shard 2 fails");
  }
}

TEST(DataParallel, replicas_stay_on_cores_of_their_own) {
  if (available_cores() < 2 || openmp_is_bound()) GTEST_SKIP() << "needs two cores, which OpenMP was not bound to";
  const std::unique_ptr<Module> net = small_net();
  initialise(*net, 1);
  DataParallel parallel(*net, small_net, {.layout = {.replicas = 2, .shards = 4}, .streams = {2, Stream{}}}, nullptr);
  parallel.begin_step();
  std::array<cpu_set_t, 4> cores;
  parallel.run(Tensor::zeros({8, 10, 9, 2}), Tensor::zeros({8}, DType::i32),
               {.size = 8, .piece = {0, 8}, .here = {0, 8}},
               [&](const Shard& shard) { EXPECT_EQ(sched_getaffinity(0, sizeof(cpu_set_t), &cores[shard.index]), 0); });
  EXPECT_TRUE(CPU_EQUAL(&cores[0], &cores[1])) << "shards of one replica share its cores";
  EXPECT_TRUE(CPU_EQUAL(&cores[2], &cores[3]));
  cpu_set_t common;
  CPU_AND(&common, &cores[0], &cores[2]);
  EXPECT_EQ(CPU_COUNT(&common), 0);
}

TEST(Layout, tells_who_takes_part_in_words) {
  EXPECT_EQ((Layout{.ranks = 1, .replicas = 1}.workers_text()), "1 replica");
  EXPECT_EQ((Layout{.ranks = 1, .replicas = 3}.workers_text()), "3 replicas");
  EXPECT_EQ((Layout{.ranks = 2, .replicas = 1}.workers_text()), "2 ranks");
  EXPECT_EQ((Layout{.ranks = 2, .replicas = 3}.workers_text()), "2 ranks of 3 replicas");
}

TEST(DataParallel, shards_have_to_divide) {
  const std::unique_ptr<Module> net = small_net();
  try {
    DataParallel(*net, small_net, {.layout = {.replicas = 2, .shards = 3}, .streams = {2, Stream{}}}, nullptr);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "data parallel: 3 shards of a batch cannot be shared out evenly among 2 replicas");
  }
}

}  // namespace
}  // namespace convoy
