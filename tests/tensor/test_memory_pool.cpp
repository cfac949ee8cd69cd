// The caching allocator: reuse, statistics, threads.

#include "tensor/memory_pool.h"

#include <cstring>
#include <thread>
#include <vector>

#include "tests/tensor/error_message.h"

namespace convoy {
namespace {

constexpr Device kCpu;

TEST(MemoryPool, gives_nothing_for_zero_bytes) { EXPECT_EQ(pool_allocate(kCpu, 0), nullptr); }

TEST(MemoryPool, blocks_are_aligned_disjoint_and_writable_to_the_end) {
  std::vector<std::shared_ptr<std::byte>> blocks;
  std::vector<int64_t> sizes;
  for (int64_t bytes = 1; bytes < (int64_t{5} << 20); bytes += bytes / 3 + 1) {
    blocks.push_back(pool_allocate(kCpu, bytes));
    sizes.push_back(bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(blocks.back().get()) % 64, 0u) << bytes;
    std::memset(blocks.back().get(), static_cast<int>(blocks.size() % 251), static_cast<size_t>(bytes));
  }
  for (size_t i = 0; i < blocks.size(); ++i) {
    EXPECT_EQ(blocks[i].get()[0], static_cast<std::byte>((i + 1) % 251));
    EXPECT_EQ(blocks[i].get()[sizes[i] - 1], static_cast<std::byte>((i + 1) % 251));
  }
}

TEST(MemoryPool, a_second_round_of_the_same_sizes_asks_the_system_for_nothing) {
  const auto round = [] {
    std::vector<std::shared_ptr<std::byte>> blocks;
    for (const int64_t bytes : {3, 64, 1000, 70'000, 3'000'000, 64}) blocks.push_back(pool_allocate(kCpu, bytes));
  };
  round();
  const PoolStatistics before = pool_statistics(kCpu);
  for (int i = 0; i < 10; ++i) round();
  const PoolStatistics after = pool_statistics(kCpu);
  EXPECT_EQ(after.system_allocations, before.system_allocations);
  EXPECT_EQ(after.bytes_from_system, before.bytes_from_system);
}

TEST(MemoryPool, a_slightly_different_size_reuses_the_block_of_its_class) {
  { pool_allocate(kCpu, 100'000); }
  const PoolStatistics before = pool_statistics(kCpu);
  const auto block = pool_allocate(kCpu, 99'000);
  EXPECT_EQ(pool_statistics(kCpu).system_allocations, before.system_allocations);
}

TEST(MemoryPool, statistics_follow_live_blocks_within_an_eighth_of_their_size) {
  const int64_t before = pool_statistics(kCpu).bytes_in_use, bytes = 1'234'567;
  {
    const auto block = pool_allocate(kCpu, bytes);
    const PoolStatistics during = pool_statistics(kCpu);
    EXPECT_GE(during.bytes_in_use - before, bytes);
    EXPECT_LE(during.bytes_in_use - before, bytes + bytes / 8);
    EXPECT_GE(during.peak_bytes_in_use, during.bytes_in_use);
    EXPECT_GE(during.bytes_from_system, during.bytes_in_use);
  }
  EXPECT_EQ(pool_statistics(kCpu).bytes_in_use, before);
}

TEST(MemoryPool, releasing_the_cache_keeps_only_live_blocks) {
  const auto live = pool_allocate(kCpu, 5000);
  { pool_allocate(kCpu, 1'000'000); }
  pool_release_cache(kCpu);
  const PoolStatistics after = pool_statistics(kCpu);
  EXPECT_EQ(after.bytes_from_system, after.bytes_in_use);
}

TEST(MemoryPool, refuses_what_no_machine_has_and_devices_that_are_absent) {
  const int64_t before = pool_statistics(kCpu).bytes_in_use;
  EXPECT_EQ(error_of([] { pool_allocate(kCpu, int64_t{1} << 60); }).kind(), ErrorKind::device);
  EXPECT_EQ(error_of([] { pool_allocate({Device::Kind::cuda, 0}, 1); }).kind(), ErrorKind::device);
  EXPECT_EQ(pool_statistics(kCpu).bytes_in_use, before);
}

TEST(MemoryPool, threads_never_share_a_block) {
  std::vector<std::thread> threads;
  for (int id = 1; id <= 4; ++id) {
    threads.emplace_back([id] {
      for (int i = 0; i < 500; ++i) {
        const int64_t bytes = 64 + i % 7 * 100;
        const auto block = pool_allocate(kCpu, bytes);
        std::memset(block.get(), id, static_cast<size_t>(bytes));
        std::this_thread::yield();
        for (int64_t j = 0; j < bytes; ++j) ASSERT_EQ(block.get()[j], static_cast<std::byte>(id));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace convoy
