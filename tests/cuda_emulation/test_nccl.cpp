// The emulated NCCL: what its operations compute, on any number of ranks that are threads.
#include <cmath>
#include <cstring>
#include <set>

#include "tests/cuda_emulation/nccl/nccl_test.h"

namespace convoy::emulation {
namespace {

using Nccl = OnRanks;

template <class T>
constexpr ncclDataType_t kType = ncclFloat32;
template <>
constexpr ncclDataType_t kType<double> = ncclFloat64;
template <>
constexpr ncclDataType_t kType<int> = ncclInt32;

// Whole numbers, whose sums are exact in any order.
template <class T>
std::vector<T> numbers_of(int rank, size_t count) {
  std::vector<T> numbers(count);
  for (size_t i = 0; i < count; ++i) numbers[i] = static_cast<T>((rank + 1) * static_cast<int>(i % 1000) - 7 * rank);
  return numbers;
}

template <class T>
std::vector<T> sum_of(int ranks, size_t count) {
  std::vector<T> sum(count);
  for (int rank = 0; rank < ranks; ++rank) {
    const std::vector<T> numbers = numbers_of<T>(rank, count);
    for (size_t i = 0; i < count; ++i) sum[i] += numbers[i];
  }
  return sum;
}

template <class T>
void expect_exact_sums(int ranks, size_t count) {
  on_ranks(ranks, [count](Rank& me) {
    const DeviceArray<T> in(numbers_of<T>(me.rank, count)), out(count);
    ASSERT_EQ(ncclAllReduce(in.data(), out.data(), count, kType<T>, ncclSum, me.comm, me.stream), ncclSuccess);
    EXPECT_EQ(out.values(me.stream), sum_of<T>(me.ranks, count)) << me.ranks << " ranks, " << count;
    EXPECT_EQ(in.values(me.stream), numbers_of<T>(me.rank, count));
    ASSERT_EQ(ncclAllReduce(in.data(), in.data(), count, kType<T>, ncclSum, me.comm, me.stream), ncclSuccess);
    EXPECT_EQ(in.values(me.stream), sum_of<T>(me.ranks, count)) << "in place";
  });
}

TEST_F(Nccl, sums_of_whole_numbers_are_exact_for_any_length_and_number_of_ranks) {
  for (const int ranks : {1, 2, 3, 4}) {
    for (const size_t count : {0, 1, 2, 7, 1001}) expect_exact_sums<float>(ranks, count);
    expect_exact_sums<double>(ranks, 13);
    expect_exact_sums<int>(ranks, 13);
  }
}

TEST_F(Nccl, sums_of_long_arrays) { expect_exact_sums<float>(3, 1'000'003); }

TEST_F(Nccl, every_rank_has_the_same_bits_but_not_those_of_the_order_from_rank_0) {
  constexpr size_t kCount = 300;
  const auto number = [](int rank, size_t i) {
    return std::ldexp(1.0f + static_cast<float>(i) / 7, (rank * 11 + static_cast<int>(i)) % 24);
  };
  std::vector<float> results[4];
  on_ranks(4, [&](Rank& me) {
    std::vector<float> numbers(kCount);
    for (size_t i = 0; i < kCount; ++i) numbers[i] = number(me.rank, i);
    const DeviceArray<float> x(numbers);
    ASSERT_EQ(ncclAllReduce(x.data(), x.data(), kCount, ncclFloat, ncclSum, me.comm, me.stream), ncclSuccess);
    results[me.rank] = x.values(me.stream);
  });
  size_t otherwise = 0;
  for (size_t i = 0; i < kCount; ++i) {
    float plain = number(0, i);
    for (const int rank : {1, 2, 3}) plain += number(rank, i);
    EXPECT_NEAR(results[0][i], plain, plain * 4 * 6e-8f);  // four roundings
    otherwise += results[0][i] != plain;
  }
  EXPECT_GT(otherwise, kCount / 20);
  for (const int rank : {1, 2, 3}) EXPECT_EQ(std::memcmp(results[0].data(), results[rank].data(), kCount * 4), 0);
}

TEST_F(Nccl, the_other_reductions) {
  on_ranks(3, [](Rank& me) {
    const auto reduce = [&](ncclRedOp_t reduction) {
      const DeviceArray<int> x(std::vector<int>{me.rank + 1, -me.rank});
      EXPECT_EQ(ncclAllReduce(x.data(), x.data(), 2, ncclInt32, reduction, me.comm, me.stream), ncclSuccess);
      return x.values(me.stream);
    };
    EXPECT_EQ(reduce(ncclProd), (std::vector<int>{6, 0}));
    EXPECT_EQ(reduce(ncclMax), (std::vector<int>{3, 0}));
    EXPECT_EQ(reduce(ncclMin), (std::vector<int>{1, -2}));
    EXPECT_EQ(reduce(ncclAvg), (std::vector<int>{2, -1}));
  });
}

TEST_F(Nccl, a_broadcast_gives_all_what_the_root_has) {
  on_ranks(3, [](Rank& me) {
    for (const int root : {2, 0}) {
      const DeviceArray<int> in(numbers_of<int>(me.rank, 5)), out(5);
      ASSERT_EQ(ncclBroadcast(in.data(), out.data(), 5, ncclInt32, root, me.comm, me.stream), ncclSuccess);
      EXPECT_EQ(out.values(me.stream), numbers_of<int>(root, 5));
      ASSERT_EQ(ncclBroadcast(in.data(), in.data(), 5, ncclInt32, root, me.comm, me.stream), ncclSuccess);
      EXPECT_EQ(in.values(me.stream), numbers_of<int>(root, 5));
    }
  });
}

TEST_F(Nccl, gathering_and_scattering_go_by_rank) {
  on_ranks(3, [](Rank& me) {
    const DeviceArray<int> one(std::vector<int>{10 * me.rank, 10 * me.rank + 1}), all(6), part(2);
    ASSERT_EQ(ncclAllGather(one.data(), all.data(), 2, ncclInt32, me.comm, me.stream), ncclSuccess);
    EXPECT_EQ(all.values(me.stream), (std::vector<int>{0, 1, 10, 11, 20, 21}));
    ASSERT_EQ(ncclReduceScatter(all.data(), part.data(), 2, ncclInt32, ncclSum, me.comm, me.stream), ncclSuccess);
    EXPECT_EQ(part.values(me.stream), (std::vector<int>{30 * me.rank, 30 * me.rank + 3}));

    int* const mine = all.data() + 2 * me.rank;
    ASSERT_EQ(ncclReduceScatter(all.data(), mine, 2, ncclInt32, ncclSum, me.comm, me.stream), ncclSuccess);
    ASSERT_EQ(ncclAllGather(mine, all.data(), 2, ncclInt32, me.comm, me.stream), ncclSuccess);
    EXPECT_EQ(all.values(me.stream), (std::vector<int>{0, 3, 30, 33, 60, 63}));
  });
}

TEST_F(Nccl, what_is_sent_is_received_in_order) {
  on_ranks(2, [](Rank& me) {
    const DeviceArray<int> x(std::vector<int>{me.rank, 5, 6}), nothing(1);
    for (const int i : {1, 2, 0}) {
      int* const at = x.data() + i;
      EXPECT_EQ(me.rank == 0 ? ncclSend(at, 1, ncclInt32, 1, me.comm, me.stream)
                             : ncclRecv(x.data() + (3 - i) % 3, 1, ncclInt32, 0, me.comm, me.stream),
                ncclSuccess);
    }
    EXPECT_EQ(me.rank == 0 ? ncclSend(nothing.data(), 0, ncclInt32, 1, me.comm, me.stream)
                           : ncclRecv(nothing.data(), 0, ncclInt32, 0, me.comm, me.stream),
              ncclSuccess);
    EXPECT_EQ(x.values(me.stream), (me.rank == 0 ? std::vector<int>{0, 5, 6} : std::vector<int>{0, 6, 5}));
  });
}

// Whatever the order within the group: this one would stand still without it, all sending first.
TEST_F(Nccl, a_group_exchanges_all_to_all) {
  on_ranks(4, [](Rank& me) {
    const DeviceArray<int> out(std::vector<int>{10 * me.rank, 10 * me.rank + 1, 10 * me.rank + 2, 10 * me.rank + 3}),
        in(4);
    for (int round = 0; round < 3; ++round) {
      ASSERT_EQ(ncclGroupStart(), ncclSuccess);
      for (int step = 0; step < 4; ++step) {
        const int peer = (me.rank + step) % 4;  // itself too
        EXPECT_EQ(ncclSend(out.data() + peer, 1, ncclInt32, peer, me.comm, me.stream), ncclSuccess);
      }
      for (int peer = 3; peer >= 0; --peer)
        EXPECT_EQ(ncclRecv(in.data() + peer, 1, ncclInt32, peer, me.comm, me.stream), ncclSuccess);
      ASSERT_EQ(ncclGroupEnd(), ncclSuccess);
      EXPECT_EQ(in.values(me.stream), (std::vector<int>{me.rank, 10 + me.rank, 20 + me.rank, 30 + me.rank}));
    }
  });
}

TEST_F(Nccl, a_group_of_collectives_in_two_streams) {
  on_ranks(3, [](Rank& me) {
    const cudaStream_t other = new_stream();
    const DeviceArray<int> x(std::vector<int>{me.rank}), y(std::vector<int>{1}), z(std::vector<int>{me.rank});
    ASSERT_EQ(ncclGroupStart(), ncclSuccess);
    ASSERT_EQ(ncclGroupStart(), ncclSuccess);
    EXPECT_EQ(ncclAllReduce(x.data(), x.data(), 1, ncclInt32, ncclSum, me.comm, me.stream), ncclSuccess);
    EXPECT_EQ(ncclAllReduce(y.data(), y.data(), 1, ncclInt32, ncclSum, me.comm, other), ncclSuccess);
    ASSERT_EQ(ncclGroupEnd(), ncclSuccess);
    EXPECT_EQ(ncclBroadcast(z.data(), z.data(), 1, ncclInt32, 2, me.comm, other), ncclSuccess);
    ASSERT_EQ(ncclGroupEnd(), ncclSuccess);
    EXPECT_EQ(y.values(other)[0], 3);
    EXPECT_EQ(z.values(other)[0], 2);
    EXPECT_EQ(x.values(me.stream)[0], 3);
    cudaStreamDestroy(other);
  });
}

TEST_F(Nccl, one_thread_holds_all_ranks_in_groups) {
  const ncclUniqueId id = new_id();
  ncclComm_t comms[3];
  int* x[3];
  ASSERT_EQ(ncclGroupStart(), ncclSuccess);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(cudaSetDevice(i), cudaSuccess);
    x[i] = DeviceArray<int>(std::vector<int>{i + 1}).data();
    ASSERT_EQ(join(&comms[i], 3, id, i), ncclSuccess);
  }
  ASSERT_EQ(ncclGroupEnd(), ncclSuccess);
  ASSERT_EQ(ncclGroupStart(), ncclSuccess);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(cudaSetDevice(i), cudaSuccess);
    EXPECT_EQ(ncclAllReduce(x[i], x[i], 1, ncclInt32, ncclSum, comms[i], nullptr), ncclSuccess);
  }
  ASSERT_EQ(ncclGroupEnd(), ncclSuccess);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(cudaSetDevice(i), cudaSuccess);
    ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    EXPECT_EQ(*x[i], 6);
    EXPECT_EQ(ncclCommDestroy(comms[i]), ncclSuccess);
  }
}

TEST_F(Nccl, a_communicator_knows_its_size_and_rank) {
  on_ranks(3, [](Rank& me) {
    int ranks = -1, rank = -1;
    ncclResult_t state = ncclInternalError;
    EXPECT_EQ(ncclCommCount(me.comm, &ranks), ncclSuccess);
    EXPECT_EQ(ncclCommUserRank(me.comm, &rank), ncclSuccess);
    EXPECT_EQ(ncclCommGetAsyncError(me.comm, &state), ncclSuccess);
    EXPECT_EQ(ranks, 3);
    EXPECT_EQ(rank, me.rank);
    EXPECT_EQ(state, ncclSuccess);
  });
  int version = 0;
  EXPECT_EQ(ncclGetVersion(&version), ncclSuccess);
  EXPECT_EQ(version, NCCL_VERSION_CODE);
  std::set<std::string> words;
  for (int i = 0; i <= ncclNumResults; ++i) words.insert(ncclGetErrorString(static_cast<ncclResult_t>(i)));
  EXPECT_EQ(words.size(), 9u);
}

}  // namespace
}  // namespace convoy::emulation
