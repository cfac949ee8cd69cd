#include "parallel/gradient_buckets.h"

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>

#include "parallel/binary_tree.h"
#include "tensor/cuda/cuda.h"
#include "tensor/cut.h"
#include "tensor/kernels.h"
#include "tensor/seconds_since.h"

namespace convoy {

struct GradientBuckets::State {
  struct Bucket {
    Range range;                        // of the flat arrays, in elements
    int parameters = 0;                 // in it
    std::vector<cuda::Event> complete;  // of each shard: behind what has computed its gradients, then its sums
    std::atomic<int> awaited = 0;
  };

  std::vector<Tensor> flat;           // of each shard [total]
  std::map<int, Stream> sum_streams;  // of each GPU: where sums are computed, beside what goes on there
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

  ~State() {
    for (const auto& [device, stream] : sum_streams) cuda::end_stream(stream);
  }

  // Where the gradients of a shard are summed: on a CPU at once, by the calling thread.
  const Stream& sum_stream(size_t shard) const {
    const Device device = flat[shard].device();
    return device.kind == Device::Kind::cpu ? current_stream() : sum_streams.at(device.index);
  }

  // A gradient in `bucket` is complete on one shard, once the current stream gets here. Buckets are summed in their order,
  // the same on every rank.
  void arrived(size_t shard, size_t bucket) {
    if (!started) return;
    buckets[bucket]->complete[shard].record(current_stream());
    if (--buckets[bucket]->awaited > 0) return;
    const std::lock_guard lock(mutex);
    while (next < buckets.size() && buckets[next]->awaited <= 0) sum(*buckets[next++]);
  }

  void sum(Bucket& bucket) {
    const auto start = std::chrono::steady_clock::now();
    reduce_tree(flat.size(), [&](size_t i, size_t j) { add(bucket, i, j); });
    seconds_adding += seconds_since(start);
    if (others == nullptr) return;
    const StreamScope scope(sum_stream(0));
    bucket.complete[0].hold_up(current_stream());
    Tensor all = flat[0].slice(bucket.range.begin, bucket.range.end);
    pending.push_back({others->all_reduce({all.data<float>(), static_cast<size_t>(all.count())}), all.bytes()});
  }

  // Adds shard `from`'s gradients to shard `into`'s.
  void add(Bucket& bucket, size_t into, size_t from) {
    const StreamScope scope(sum_stream(into));
    const Stream& stream = current_stream();
    Tensor sum = flat[into].slice(bucket.range.begin, bucket.range.end);
    Tensor other = flat[from].slice(bucket.range.begin, bucket.range.end);
    for (const size_t shard : {into, from}) bucket.complete[shard].hold_up(stream);
    if (other.device() != sum.device()) {
      Tensor here = Tensor::empty(sum.shape(), DType::f32, sum.device());
      cuda::enqueue_copy(stream, here.raw(), other.device().index, other.raw(), other.bytes());
      other = here;
    }
    kernels(sum.device()).binary_forward(stream, Binary::add, sum.count(), sum, other, sum);
    bucket.complete[into].record(stream);
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
  for (const auto& bucket : state_->buckets) bucket->complete = std::vector<cuda::Event>(shards.size());
  for (const std::vector<Variable>& shard : shards) {
    const Device device = shard.empty() ? Device{} : shard[0].value().device();
    const Tensor flat = Tensor::zeros({total}, DType::f32, device);
    const size_t index = state_->flat.size();
    state_->flat.push_back(flat);
    if (device.kind == Device::Kind::cuda && !state_->sum_streams.contains(device.index))
      state_->sum_streams[device.index] = cuda::make_stream(device.index);
    for (size_t i = 0; i < shard.size(); ++i) {
      Variable parameter = shard[i];
      parameter.place_grad(flat.slice(begin_of[i], begin_of[i] + parameter.shape().count()).reshape(parameter.shape()));
      parameter.on_grad_ready([state = std::weak_ptr(state_), index, bucket = bucket_of[i]](const Variable&) {
        if (const auto alive = state.lock()) alive->arrived(index, bucket);
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
  while (state_->next < state_->buckets.size()) state_->sum(*state_->buckets[state_->next++]);
  for (const auto& bucket : state_->buckets) bucket->complete[0].hold_up(current_stream());
  for (auto& [reduction, bytes] : state_->pending) {
    reduction.wait();
    if (state_->trace == nullptr) continue;
    const Reduction::Span span = reduction.span();
    state_->trace->add(Trace::kCommunication, "all-reduce", span.begin, span.end, bytes);
  }
  state_->pending.clear();
}

}  // namespace convoy
