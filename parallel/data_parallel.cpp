#include "parallel/data_parallel.h"

#include <algorithm>
#include <chrono>

#include "autograd/batch_exchange.h"
#include "parallel/binary_tree.h"
#include "tensor/cores.h"
#include "tensor/cuda/cuda.h"
#include "tensor/seconds_since.h"

namespace convoy {
namespace {

using Clock = std::chrono::steady_clock;

void check(const DataParallelOptions& options, const Communicator* others) {
  const Layout& layout = options.layout;
  CHECK(layout.replicas >= 1 && layout.shards >= 1 && layout.shards % (layout.ranks * layout.replicas) == 0,
        "data parallel: {} of a batch cannot be shared out evenly among {}", counted(layout.shards, "shard"),
        layout.workers_text());
  CHECK(options.streams.size() == static_cast<size_t>(layout.replicas), "data parallel: {} for {}",
        counted(static_cast<int64_t>(options.streams.size()), "stream"), counted(layout.replicas, "replica"));
  for (size_t i = 0; i < options.streams.size(); ++i) {
    const Device device = options.streams[i].device;
    const auto same = [&](const Stream& other) { return other.device == device; };
    CHECK(device.kind == Device::Kind::cpu || std::ranges::count_if(options.streams, same) == 1,
          "data parallel: two replicas on {}, which needs to be one's alone", device.text());
  }
  const int ranks = others == nullptr ? 1 : others->size(), rank = others == nullptr ? 0 : others->rank();
  CHECK(layout.ranks == ranks && layout.rank == rank, "data parallel: rank {} of {} in a job of {}", layout.rank,
        layout.ranks, ranks);
}

// As many of the same as the shards beside the first need. Initialised, because layers learn from it which draws are
// theirs (dropout); the weights are replaced.
std::vector<std::unique_ptr<Module>> make_copies(const DataParallelOptions& options,
                                                 const std::function<std::unique_ptr<Module>()>& make) {
  std::vector<std::unique_ptr<Module>> copies;
  for (int shard = 1; shard < options.layout.local_shards(); ++shard) {
    const StreamScope scope(options.streams[static_cast<size_t>(options.layout.replica_of(shard))]);
    copies.push_back(make());
    initialise(*copies.back(), 0);
  }
  return copies;
}

void connect(const std::vector<Stream>& streams) {
  for (const Stream& to : streams) {
    for (const Stream& from : streams) {
      if (to.device != from.device) cuda::connect(to.device.index, from.device.index);
    }
  }
}

// Part of a batch that `made` is behind, for work on the current stream: itself, or a copy from another GPU.
Tensor bring(const Tensor& part, const cuda::Event& made) {
  const Stream& stream = current_stream();
  if (part.device() == stream.device) return part;
  made.hold_up(stream);
  Tensor here = Tensor::empty(part.shape(), part.dtype(), stream.device);
  if (part.bytes() > 0) cuda::enqueue_copy(stream, here.raw(), part.device().index, part.raw(), part.bytes());
  return here;
}

std::vector<Module*> all_nets(Module& net, const std::vector<std::unique_ptr<Module>>& copies) {
  std::vector<Module*> nets{&net};
  for (const std::unique_ptr<Module>& copy : copies) nets.push_back(copy.get());
  return nets;
}

}  // namespace

StepTimes& StepTimes::operator+=(const StepTimes& other) {
  copy += other.copy;
  compute += other.compute;
  exchange += other.exchange;
  reduce += other.reduce;
  communicate += other.communicate;
  update += other.update;
  return *this;
}

DataParallel::DataParallel(Module& net, const std::function<std::unique_ptr<Module>()>& make,
                           const DataParallelOptions& options, Communicator* others)
    : layout_((check(options, others), options.layout)),
      streams_(options.streams),
      others_(others),
      trace_(options.trace),
      copies_(make_copies(options, make)),
      nets_(all_nets(net, copies_)),
      replica_slots_(static_cast<size_t>(layout_.replicas)),
      gradients_(parameters(), options.bucket_bytes, others, options.trace),
      exchange_(slots(), others, options.trace),
      threads_(
          slots(), [this](size_t shard) { begin_thread(shard); }, [this] { exchange_.close(); }) {
  connect(streams_);
  share_weights();
}

std::vector<std::vector<Variable>> DataParallel::parameters() const {
  std::vector<std::vector<Variable>> all;
  for (const Module* net : nets_) {
    all.emplace_back();
    for (const NamedVariable& parameter : net->parameters()) all.back().push_back(parameter.variable);
  }
  return all;
}

std::vector<std::mutex*> DataParallel::slots() {
  std::vector<std::mutex*> slots;
  for (int shard = 0; shard < layout_.local_shards(); ++shard)
    slots.push_back(&replica_slots_[static_cast<size_t>(layout_.replica_of(shard))]);
  return slots;
}

void DataParallel::begin_thread(size_t shard) {
  const int replica = layout_.replica_of(static_cast<int>(shard));
  const Stream& stream = streams_[static_cast<size_t>(replica)];
  set_current_stream(stream);
  if (stream.device.kind == Device::Kind::cpu) keep_to_share_of_cores(replica, layout_.replicas, stream.threads);
}

// Rank 0's weights and running statistics to all ranks, then to all shards, of which those of one replica share its
// weights.
void DataParallel::share_weights() {
  std::vector<std::vector<NamedVariable>> weights, buffers;
  for (const Module* net : nets_) {
    weights.push_back(net->parameters());
    buffers.push_back(net->buffers());
  }
  for (std::vector<NamedVariable>* variables : {&weights[0], &buffers[0]}) {
    for (NamedVariable& each : *variables) {
      if (others_ == nullptr) continue;
      Tensor here = each.variable.value().to(Device{});
      others_->broadcast({here.raw(), static_cast<size_t>(here.bytes())});
      each.variable.value().copy_from(here);
    }
  }
  for (size_t shard = 1; shard < nets_.size(); ++shard) {
    const int replica = layout_.replica_of(static_cast<int>(shard));
    const bool first = replica != layout_.replica_of(static_cast<int>(shard) - 1);
    for (size_t i = 0; i < weights[0].size(); ++i) {
      Tensor& value = weights[shard][i].variable.value();
      const Tensor& before = weights[shard - 1][i].variable.value();
      first ? value.copy_from(before) : static_cast<void>(value = before);
    }
  }
  share_buffers();
}

void DataParallel::share_buffers() {
  const std::vector<NamedVariable> source = nets_[0]->buffers();
  for (size_t shard = 1; shard < nets_.size(); ++shard) {
    std::vector<NamedVariable> target = nets_[shard]->buffers();
    for (size_t i = 0; i < source.size(); ++i) target[i].variable.value().copy_from(source[i].variable.value());
  }
}

void DataParallel::copy_weights() {
  const std::vector<NamedVariable> source = nets_[0]->parameters();
  const int shards_per_replica = layout_.local_shards() / layout_.replicas;
  for (int replica = 1; replica < layout_.replicas; ++replica) {
    const std::vector<NamedVariable> target = nets_[static_cast<size_t>(replica * shards_per_replica)]->parameters();
    for (size_t i = 0; i < source.size(); ++i) {
      Variable variable = target[i].variable;
      variable.value().copy_from(source[i].variable.value());
    }
  }
}

void DataParallel::begin_step() {
  times_ = {};
  const auto start = Clock::now();
  {
    const TraceSpan span(trace_, Trace::kStep, "copy weights");
    copy_weights();
  }
  times_.copy = seconds_since(start);
  for (Module* net : nets_) {
    net->set_training(true);
    for (NamedVariable& parameter : net->parameters()) parameter.variable.clear_grad();
  }
}

void DataParallel::begin_evaluation() {
  if (trace_ != nullptr) trace_->pause();
  copy_weights();
  for (Module* net : nets_) net->set_training(false);
}

void DataParallel::run(const Tensor& images, const Tensor& labels, const BatchPlace& place, const Work& work,
                       bool last) {
  const auto start = Clock::now();
  const TraceSpan span(trace_, Trace::kStep, "compute");
  const StepRandomness randomness = step_randomness();
  if (last) gradients_.start();
  cuda::Event made;
  std::vector<cuda::Event> taken(nets_.size());
  made.record(current_stream());
  threads_.run([&](size_t index) {
    const int64_t shard = layout_.first_shard() + static_cast<int64_t>(index);
    const Range in_batch = cut(place.piece.size(), shard, layout_.shards) + place.piece.begin;
    const Range here = in_batch - place.here.begin;
    step_randomness() = randomness;
    step_randomness().first_sample = in_batch.begin;
    const BatchExchangeScope scope(layout_.shards > 1 ? &exchange_.of_shard(index) : nullptr);
    const Shard mine{index, *nets_[index], bring(images.slice(here.begin, here.end), made),
                     bring(labels.slice(here.begin, here.end), made)};
    taken[index].record(current_stream());
    work(mine);
  });
  for (const cuda::Event& each : taken) each.hold_up(current_stream());  // the next batch may take this one's memory
  times_.compute += seconds_since(start);
  times_.exchange += exchange_.take_seconds_between_ranks();
}

Totals DataParallel::total(std::span<const Totals> of_shards) {
  const auto sum = [](std::vector<Totals> leaves) {
    reduce_tree(leaves.size(), [&](size_t i, size_t j) {
      leaves[i].loss += leaves[j].loss;
      leaves[i].samples += leaves[j].samples;
      leaves[i].correct += leaves[j].correct;
      leaves[i].stop |= leaves[j].stop;
    });
    return leaves.front();
  };
  const TraceSpan span(trace_, Trace::kStep, "add up losses");
  const Totals here = sum({of_shards.begin(), of_shards.end()});
  if (others_ == nullptr) return here;
  const auto start = Clock::now();
  const std::vector<Totals> of_ranks = others_->all_gather(here);
  times_.communicate += seconds_since(start);
  return sum(of_ranks);
}

void DataParallel::finish_gradients() {
  const auto start = Clock::now();
  const TraceSpan span(trace_, Trace::kStep, "wait for gradients");
  gradients_.finish();
  times_.communicate += seconds_since(start);
  times_.reduce += gradients_.seconds_adding();
}

void DataParallel::update(const std::function<void()>& step) {
  const auto start = Clock::now();
  const TraceSpan span(trace_, Trace::kStep, "update");
  step();
  times_.update += seconds_since(start);
}

}  // namespace convoy
