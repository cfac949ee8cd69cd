// Parallel training on GPUs equals training on one: the communicator's suite over NCCL, and whole trainings by replicas and
// ranks that have a GPU each. On real GPUs where there are enough, and on emulated ones.
#include <gtest/gtest.h>

#include <algorithm>
#include <latch>
#include <map>
#include <mutex>

#include "parallel/nccl.h"
#include "tensor/cuda/cuda.h"
#include "tests/parallel/communicator_cases.h"
#include "tests/parallel/local_ranks.h"
#include "tests/parallel/small_training.h"
#include "tests/tensor/error_message.h"

namespace convoy {
namespace {

using namespace std::chrono_literals;

// Streams of GPUs that ranks and replicas share out among them, made once.
Stream gpu(int index) {
  static std::mutex mutex;
  static std::map<int, Stream> streams;
  const std::lock_guard lock(mutex);
  if (!streams.contains(index)) streams[index] = cuda::make_stream(index);
  return streams[index];
}

std::vector<Stream> gpus_of(const Layout& layout) {
  std::vector<Stream> streams;
  for (int replica = 0; replica < layout.replicas; ++replica)
    streams.push_back(gpu(layout.rank * layout.replicas + replica));
  return streams;
}

#define NEEDS_GPUS(count) \
  if (cuda::device_count() < count) GTEST_SKIP() << "needs " << count << " GPUs, there are " << cuda::device_count()
#define NEEDS_NCCL() \
  if (!nccl::built()) GTEST_SKIP() << nccl::library()

OpenSums nccl_sums(nccl::Order order, int replicas = 1) {
  return [=](Transport& small) { return nccl::make_all_reduce(small, small.rank() * replicas, order); };
}

// NCCL sums memory of a GPU: takes the suite's arrays there and back.
class FromHost : public AsyncAllReduce {
 public:
  FromHost(Transport& small, nccl::Order order) : sums_(nccl_sums(order)(small)), stream_(gpu(small.rank())) {}

  Reduction start(std::span<float> values) override {
    const StreamScope scope(stream_);
    Tensor there = Tensor::from(std::span<const float>(values), {static_cast<int64_t>(values.size())});
    return Reduction(std::make_shared<State>(sums_->start({there.data<float>(), values.size()}), there, values));
  }
  void abort() override { sums_->abort(); }

 private:
  class State : public Reduction::State {
   public:
    State(Reduction sum, Tensor there, std::span<float> here)
        : sum_(std::move(sum)), there_(std::move(there)), here_(here) {}
    void wait() override {
      sum_.wait();
      const Tensor result = there_.to(Device{});
      std::copy_n(result.data<float>(), here_.size(), here_.begin());
    }
    Reduction::Span span() const override { return sum_.span(); }

   private:
    Reduction sum_;
    Tensor there_;
    std::span<float> here_;
  };
  std::unique_ptr<AsyncAllReduce> sums_;
  Stream stream_;
};

using Setting = CommunicatorSetting<nccl::Order>;

class NcclParallel : public testing::TestWithParam<Setting> {};

TEST_P(NcclParallel, communicator) {
  NEEDS_GPUS(GetParam().ranks);
  NEEDS_NCCL();
  const auto open = [](Transport& small) { return std::make_unique<FromHost>(small, GetParam().way); };
  on_local_ranks(GetParam().ranks, open, GetParam().test.run);
}

INSTANTIATE_TEST_SUITE_P(all, NcclParallel,
                         testing::ValuesIn(communicator_settings("any", nccl::Order::any, nccl::Order::tree)),
                         [](const auto& info) { return info.param.name(); });

TEST(NcclParallelEnd, a_rank_that_does_not_join_is_not_waited_for_for_ever) {
  NEEDS_GPUS(1);
  NEEDS_NCCL();
  auto group = make_local_group(2);
  std::thread other([&] {  // takes the id, and is never seen again
    std::vector<std::byte> id(128);
    group[1]->receive(0, id)->wait();
  });
  const Error error = error_of([&] { nccl::make_all_reduce(*group[0], 0, nccl::Order::any, {.to_join = 1s}); });
  other.join();
  EXPECT_EQ(error.kind(), ErrorKind::peer);
  EXPECT_STREQ(error.what(), "nccl: joining has taken more than 1 s; another rank is stuck or gone");
}

TEST(NcclParallelEnd, a_sum_that_another_rank_does_not_start_is_given_up) {
  NEEDS_GPUS(2);
  NEEDS_NCCL();
  for (const nccl::Order order : {nccl::Order::any, nccl::Order::tree}) {
    const auto open = [&](Transport& small) {
      return nccl::make_all_reduce(small, small.rank(), order, {.for_sum = 1s});
    };
    on_local_ranks(2, open, [](Communicator& communicator) {
      if (communicator.rank() == 1) return communicator.barrier();
      const StreamScope scope(gpu(0));
      Tensor values = Tensor::zeros({1000});
      const Error error = error_of([&] { communicator.all_reduce({values.data<float>(), 1000}).wait(); });
      EXPECT_EQ(error.kind(), ErrorKind::peer);
      EXPECT_NE(std::string(error.what()).find("has taken more than 1 s; another rank is stuck or gone"),
                std::string::npos)
          << error.what();
      cuda::synchronize(gpu(0));  // nothing hangs behind it
      EXPECT_EQ(error_of([&] {
                  communicator.all_reduce({values.data<float>(), 1000}).wait();
                }).kind(),
                ErrorKind::peer);
      communicator.barrier();
    });
  }
}

TEST(NcclParallelEnd, a_rank_that_is_known_to_be_gone_ends_the_wait_at_once) {
  NEEDS_GPUS(2);
  NEEDS_NCCL();
  const auto open = [](Transport& small) { return nccl::make_all_reduce(small, small.rank(), nccl::Order::any); };
  std::latch joined(2);
  on_local_ranks(2, open, [&](Communicator& communicator) {
    joined.arrive_and_wait();
    if (communicator.rank() == 1) return communicator.abort();
    const StreamScope scope(gpu(0));
    Tensor values = Tensor::zeros({1000});
    const Error error = error_of([&] { communicator.all_reduce({values.data<float>(), 1000}).wait(); });
    EXPECT_EQ(error.kind(), ErrorKind::peer);
    EXPECT_STREQ(error.what(), "local transport: another rank has given up");
    cuda::synchronize(gpu(0));
  });
}

SmallTraining on_gpus() {
  SmallTraining training;
  training.streams = gpus_of;
  return training;
}

// The sums of a job: between ranks where there are several.
Trained train(const SmallTraining& training, const Layout& layout, nccl::Order order) {
  if (layout.ranks > 1) return train_on_local_ranks(training, layout, nccl_sums(order, layout.replicas));
  return train_in_parallel(training, layout, nullptr);
}

TEST(GpuDataParallel, one_gpu_equals_the_cpu_up_to_rounding) {
  NEEDS_GPUS(1);
  expect_close(train_in_parallel(on_gpus(), {}, nullptr), train_plainly({}));
}

TEST(GpuDataParallel, tree_gives_the_same_bits_on_any_number_of_gpus) {
  NEEDS_GPUS(1);
  for (const int shards : {4, 8}) {
    const Trained one = train_in_parallel(on_gpus(), {.shards = shards}, nullptr);
    expect_close(one, train_plainly({}));
    for (const auto& [ranks, replicas] : {std::pair{1, 2}, {1, 4}, {2, 1}, {2, 2}, {4, 1}}) {
      if (cuda::device_count() < ranks * replicas || (ranks > 1 && !nccl::built())) continue;
      const Layout layout{.ranks = ranks, .replicas = replicas, .shards = shards};
      EXPECT_EQ(train(on_gpus(), layout, nccl::Order::tree), one)
          << shards << " shards, " << ranks << " ranks of " << replicas << " replicas";
    }
  }
}

TEST(GpuDataParallel, replicas_do_not_share_a_gpu) {
  NEEDS_GPUS(1);
  SmallTraining training;
  training.streams = [](const Layout&) { return std::vector<Stream>(2, gpu(0)); };
  const Error error = error_of([&] { train_in_parallel(training, {.replicas = 2, .shards = 4}, nullptr); });
  EXPECT_STREQ(error.what(), "data parallel: two replicas on cuda:0, which needs to be one's alone");
}

TEST(GpuDataParallel, any_order_equals_one_gpu_up_to_rounding) {
  NEEDS_GPUS(3);
  NEEDS_NCCL();
  const Trained one = train_plainly({});
  for (const int ranks : {2, 3})
    expect_close(train(on_gpus(), {.ranks = ranks, .shards = ranks}, nccl::Order::any), one);
}

TEST(GpuDataParallel, micro_batches_give_the_same_bits) {
  NEEDS_GPUS(2);
  SmallTraining training = on_gpus();
  training.micro_batches = 3;
  const Trained one = train_in_parallel(training, {.shards = 4}, nullptr);
  EXPECT_EQ(train_in_parallel(training, {.replicas = 2, .shards = 4}, nullptr), one);
}

}  // namespace
}  // namespace convoy
