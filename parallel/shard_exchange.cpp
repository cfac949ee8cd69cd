#include "parallel/shard_exchange.h"

#include <algorithm>
#include <utility>

#include "parallel/binary_tree.h"
#include "tensor/error.h"

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

}  // namespace

class ShardExchange::OfShard : public BatchExchange {
 public:
  OfShard(ShardExchange& all, size_t shard) : all_(all), shard_(shard) {}

  int64_t merge(int64_t rows, BatchStatistics& statistics) override {
    const int64_t channels = statistics.mean.count();
    const float *mean = statistics.mean.data<float>(), *variance = statistics.variance.data<float>();
    Values values{static_cast<double>(rows)};
    values.insert(values.end(), mean, mean + channels);
    for (int64_t c = 0; c < channels; ++c)
      values.push_back(static_cast<double>(variance[c]) * static_cast<double>(rows));

    const auto all = all_.meet(shard_, std::move(values), merge_statistics);
    const double total = all->front();
    statistics = {Tensor::empty({channels}), Tensor::empty({channels})};
    for (int64_t c = 0; c < channels; ++c) {
      statistics.mean.data<float>()[c] = static_cast<float>((*all)[static_cast<size_t>(1 + c)]);
      const double m2 = (*all)[static_cast<size_t>(1 + channels + c)];
      statistics.variance.data<float>()[c] = total == 0 ? 0.0f : static_cast<float>(m2 / total);
    }
    return static_cast<int64_t>(total);
  }

  void sum(Tensor& dgamma, Tensor& dbeta) override {
    const int64_t channels = dgamma.count();
    Values values(dgamma.data<float>(), dgamma.data<float>() + channels);
    values.insert(values.end(), dbeta.data<float>(), dbeta.data<float>() + channels);
    const auto all = all_.meet(shard_, std::move(values), merge_sums);
    dgamma = Tensor::empty({channels});
    dbeta = Tensor::empty({channels});
    for (int64_t c = 0; c < channels; ++c) {
      dgamma.data<float>()[c] = static_cast<float>((*all)[static_cast<size_t>(c)]);
      dbeta.data<float>()[c] = static_cast<float>((*all)[static_cast<size_t>(channels + c)]);
    }
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
  changed_.wait(lock, [&, round = round_] { return closed_ || round_ != round; });
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
  Values all = others_->all_gather(std::span<const double>(parts_[0]));
  const auto of_rank = [&](size_t rank) { return std::span(all).subspan(rank * length, length); };
  reduce_tree(static_cast<size_t>(others_->size()), [&](size_t i, size_t j) { merge(of_rank(i), of_rank(j)); });
  all.resize(length);
  return all;
}

}  // namespace convoy
