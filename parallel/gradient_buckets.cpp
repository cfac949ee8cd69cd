#include "parallel/gradient_buckets.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <span>

#include "parallel/binary_tree.h"
#include "parallel/segments.h"

namespace convoy {

struct GradientBuckets::State {
  struct Bucket {
    Range range;         // of the flat arrays, in elements
    int parameters = 0;  // in it
    std::atomic<int> awaited = 0;
  };

  std::vector<Tensor> flat;  // of each shard [total]
  std::vector<std::unique_ptr<Bucket>> buckets;
  Communicator* others = nullptr;
  Trace* trace = nullptr;
  std::atomic<bool> started = false;

  std::mutex mutex;
  size_t next = 0;  // the first bucket not yet summed; guarded by mutex, as all below
  struct Pending {
    Reduction reduction;
    int64_t bytes;
  };
  std::vector<Pending> pending;
  double seconds_adding = 0;

  std::span<float> values(size_t shard, const Range& range) {
    return part({flat[shard].data<float>(), static_cast<size_t>(flat[shard].count())}, range);
  }

  // A gradient in `bucket` is complete on one shard. Buckets are summed in their order, the same on every rank.
  void arrived(size_t bucket) {
    if (!started || --buckets[bucket]->awaited > 0) return;
    const std::lock_guard lock(mutex);
    while (next < buckets.size() && buckets[next]->awaited <= 0) sum(buckets[next++]->range);
  }

  void sum(const Range& range) {
    const auto start = std::chrono::steady_clock::now();
    reduce_tree(flat.size(), [&](size_t i, size_t j) { add(values(i, range), values(j, range)); });
    seconds_adding += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (others == nullptr) return;
    pending.push_back({others->all_reduce(values(0, range)), range.size() * static_cast<int64_t>(sizeof(float))});
  }
};

GradientBuckets::GradientBuckets(const std::vector<std::vector<Variable>>& shards, int64_t bucket_bytes,
                                 Communicator* others, Trace* trace)
    : state_(std::make_shared<State>()) {
  state_->others = others;
  state_->trace = trace;
  const std::vector<Variable>& parameters = shards.front();
  std::vector<size_t> bucket_of(parameters.size());
  std::vector<int64_t> begin_of(parameters.size());
  int64_t total = 0;
  for (size_t i = parameters.size(); i-- > 0;) {
    const int64_t count = parameters[i].shape().count();
    const bool fits =
        !state_->buckets.empty() &&
        (state_->buckets.back()->range.size() + count) * static_cast<int64_t>(sizeof(float)) <= bucket_bytes;
    if (!fits) {
      state_->buckets.push_back(std::make_unique<State::Bucket>());
      state_->buckets.back()->range = {total, total};
    }
    bucket_of[i] = state_->buckets.size() - 1;
    begin_of[i] = total;
    total += count;
    state_->buckets.back()->range.end = total;
    ++state_->buckets.back()->parameters;
  }
  for (const std::vector<Variable>& shard : shards) {
    const Tensor flat = Tensor::zeros({total});
    state_->flat.push_back(flat);
    for (size_t i = 0; i < shard.size(); ++i) {
      Variable parameter = shard[i];
      parameter.place_grad(flat.slice(begin_of[i], begin_of[i] + parameter.shape().count()).reshape(parameter.shape()));
      parameter.on_grad_ready([state = std::weak_ptr(state_), bucket = bucket_of[i]](const Variable&) {
        if (const auto alive = state.lock()) alive->arrived(bucket);
      });
    }
  }
}

// When an error unwinds, sums may be under way in this memory. They come to an end: every rank has come to them, or will,
// or is gone.
GradientBuckets::~GradientBuckets() {
  for (State::Pending& each : state_->pending) {
    try {
      each.reduction.wait();
    } catch (const std::exception&) {
      continue;  // told already, by who was to use the sum
    }
  }
}

size_t GradientBuckets::count() const { return state_->buckets.size(); }

double GradientBuckets::seconds_adding() const { return state_->seconds_adding; }

void GradientBuckets::start() {
  const std::lock_guard lock(state_->mutex);
  for (const auto& bucket : state_->buckets)
    bucket->awaited = bucket->parameters * static_cast<int>(state_->flat.size());
  state_->next = 0;
  state_->seconds_adding = 0;
  state_->started = true;
}

void GradientBuckets::finish() {
  const std::lock_guard lock(state_->mutex);
  state_->started = false;
  // What still waits holds a parameter that took no part in the loss.
  while (state_->next < state_->buckets.size()) state_->sum(state_->buckets[state_->next++]->range);
  for (auto& [reduction, bytes] : state_->pending) {
    reduction.wait();
    if (state_->trace == nullptr) continue;
    const Reduction::Span span = reduction.span();
    state_->trace->add(Trace::kCommunication, "all-reduce", span.begin, span.end, bytes);
  }
  state_->pending.clear();
}

}  // namespace convoy
