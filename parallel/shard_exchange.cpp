#include "parallel/shard_exchange.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "parallel/binary_tree.h"
#include "parallel/eager_wait.h"
#include "tensor/error.h"
#include "tensor/seconds_since.h"

namespace convoy {
namespace {

// [rows, mean of each channel, M2 of each channel]; M2 is the sum of squared distances from the mean. Chan, Golub,
// LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
void merge_statistics(std::span<double> into, std::span<const double> from) {
  const size_t channels = into.size() / 2;
  const double rows = into[0] + from[0];
  if (from[0] == 0) return;
  if (into[0] == 0) {
    std::ranges::copy(from, into.begin());
    return;
  }
  const double share = from[0] / rows, weight = into[0] * share;
  for (size_t c = 1; c <= channels; ++c) {
    const double delta = from[c] - into[c];
    into[c] += delta * share;
    into[channels + c] += from[channels + c] + delta * delta * weight;
  }
  into[0] = rows;
}

void merge_sums(std::span<double> into, std::span<const double> from) {
  for (size_t i = 0; i < into.size(); ++i) into[i] += from[i];
}

void append(const Tensor& vector, double factor, std::vector<double>& values) {
  const Tensor here = vector.to(Device{});
  for (int64_t i = 0; i < here.count(); ++i) values.push_back(static_cast<double>(here.data<float>()[i]) * factor);
}

// [n] = values / divisor, 0 for a divisor of 0.
Tensor tensor(std::span<const double> values, double divisor, Device device) {
  Tensor vector = Tensor::empty({static_cast<int64_t>(values.size())}, DType::f32, Device{});
  for (size_t i = 0; i < values.size(); ++i)
    vector.data<float>()[i] = divisor == 0 ? 0.0f : static_cast<float>(values[i] / divisor);
  return vector.to(device);
}

}  // namespace

class ShardExchange::OfShard : public BatchExchange {
 public:
  OfShard(ShardExchange& all, size_t shard) : all_(all), shard_(shard) {}

  int64_t merge(int64_t rows, BatchStatistics& statistics) override {
    const Device device = statistics.mean.device();
    const size_t channels = static_cast<size_t>(statistics.mean.count());
    Values values{static_cast<double>(rows)};
    append(statistics.mean, 1, values);
    append(statistics.variance, static_cast<double>(rows), values);

    const auto all = all_.meet(shard_, std::move(values), merge_statistics);
    const double total = all->front();
    const std::span<const double> mean(all->data() + 1, channels), m2(mean.data() + channels, channels);
    statistics = {tensor(mean, 1, device), tensor(m2, total, device)};
    return static_cast<int64_t>(total);
  }

  void sum(Tensor& dgamma, Tensor& dbeta) override {
    const Device device = dgamma.device();
    const size_t channels = static_cast<size_t>(dgamma.count());
    Values values;
    append(dgamma, 1, values);
    append(dbeta, 1, values);
    const auto all = all_.meet(shard_, std::move(values), merge_sums);
    const std::span<const double> sums(*all);
    dgamma = tensor(sums.first(channels), 1, device);
    dbeta = tensor(sums.subspan(channels), 1, device);
  }

 private:
  ShardExchange& all_;
  size_t shard_;
};

ShardExchange::ShardExchange(std::vector<std::mutex*> slots, Communicator* others, Trace* trace)
    : slots_(std::move(slots)), others_(others), trace_(trace), parts_(slots_.size()) {
  for (size_t shard = 0; shard < slots_.size(); ++shard) of_shard_.push_back(std::make_unique<OfShard>(*this, shard));
}

ShardExchange::~ShardExchange() = default;

BatchExchange& ShardExchange::of_shard(size_t shard) { return *of_shard_[shard]; }

double ShardExchange::take_seconds_between_ranks() {
  const std::lock_guard lock(mutex_);
  return std::exchange(between_ranks_, 0);
}

void ShardExchange::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

std::shared_ptr<const ShardExchange::Values> ShardExchange::meet(size_t shard, Values mine, Merge merge) {
  const TraceSpan span(trace_, Trace::of_shard(shard), "batch norm exchange",
                       static_cast<int64_t>(mine.size() * sizeof(double)));
  std::unique_lock lock(mutex_);
  parts_[shard] = std::move(mine);
  if (++arrived_ == parts_.size() && !closed_) {
    result_ = std::make_shared<const Values>(merge_all(merge));
    arrived_ = 0;
    ++round_;
    changed_.notify_all();
    return result_;
  }
  slots_[shard]->unlock();
  wait_eagerly(lock, changed_, [&, round = round_] { return closed_ || round_ != round; });
  const std::shared_ptr<const Values> result = closed_ ? nullptr : result_;
  lock.unlock();
  slots_[shard]->lock();
  if (result == nullptr) fail(ErrorKind::peer, "batch_norm: another part of the batch has failed");
  return result;
}

ShardExchange::Values ShardExchange::merge_all(Merge merge) {
  reduce_tree(parts_.size(), [&](size_t i, size_t j) { merge(parts_[i], parts_[j]); });
  if (others_ == nullptr) return std::move(parts_[0]);
  const size_t length = parts_[0].size();
  const auto start = std::chrono::steady_clock::now();
  Values all = others_->all_gather(std::span<const double>(parts_[0]));
  between_ranks_ += seconds_since(start);
  const auto of_rank = [&](size_t rank) { return std::span(all).subspan(rank * length, length); };
  reduce_tree(static_cast<size_t>(others_->size()), [&](size_t i, size_t j) { merge(of_rank(i), of_rank(j)); });
  all.resize(length);
  return all;
}

}  // namespace convoy
