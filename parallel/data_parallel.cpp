#include "parallel/data_parallel.h"

#include <algorithm>
#include <chrono>

#include "autograd/batch_exchange.h"
#include "parallel/binary_tree.h"

namespace convoy {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

void check(const Layout& layout, const Communicator* others) {
  CHECK(layout.replicas >= 1 && layout.shards >= 1 && layout.shards % (layout.ranks * layout.replicas) == 0,
        "data parallel: {} shards do not divide among {} ranks of {} replicas", layout.shards, layout.ranks,
        layout.replicas);
  const int ranks = others == nullptr ? 1 : others->size(), rank = others == nullptr ? 0 : others->rank();
  CHECK(layout.ranks == ranks && layout.rank == rank, "data parallel: rank {} of {} in a job of {}", layout.rank,
        layout.ranks, ranks);
}

// As many of the same as the shards beside the first need. Initialised, because layers learn from it which draws are
// theirs (dropout); the weights are replaced.
std::vector<std::unique_ptr<Module>> make_copies(const Layout& layout,
                                                 const std::function<std::unique_ptr<Module>()>& make) {
  std::vector<std::unique_ptr<Module>> copies;
  for (int shard = 1; shard < layout.local_shards(); ++shard) {
    copies.push_back(make());
    initialise(*copies.back(), 0);
  }
  return copies;
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
  reduce += other.reduce;
  communicate += other.communicate;
  update += other.update;
  return *this;
}

DataParallel::DataParallel(Module& net, const std::function<std::unique_ptr<Module>()>& make,
                           const DataParallelOptions& options, Communicator* others)
    : layout_((check(options.layout, others), options.layout)),
      others_(others),
      trace_(options.trace),
      copies_(make_copies(layout_, make)),
      nets_(all_nets(net, copies_)),
      replica_slots_(static_cast<size_t>(layout_.replicas)),
      gradients_(parameters(), options.bucket_bytes, others, options.trace),
      exchange_(slots(), others, options.trace),
      threads_(slots(), std::max(1, options.threads / layout_.replicas), [this] { exchange_.close(); }) {
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

// Rank 0's weights and running statistics to all ranks, then to all shards: the first shard of each further replica gets
// memory of its own, the others share their replica's.
void DataParallel::share_weights() {
  std::vector<std::vector<NamedVariable>> weights, buffers;
  for (const Module* net : nets_) {
    weights.push_back(net->parameters());
    buffers.push_back(net->buffers());
  }
  for (std::vector<NamedVariable>* variables : {&weights[0], &buffers[0]}) {
    for (NamedVariable& each : *variables) {
      Tensor& value = each.variable.value();
      if (others_ != nullptr) others_->broadcast({value.raw(), static_cast<size_t>(value.bytes())});
    }
  }
  for (size_t shard = 1; shard < nets_.size(); ++shard) {
    const int replica = layout_.replica_of(static_cast<int>(shard));
    const bool first = replica != layout_.replica_of(static_cast<int>(shard) - 1);
    for (size_t i = 0; i < weights[0].size(); ++i) {
      const Tensor& before = weights[shard - 1][i].variable.value();
      weights[shard][i].variable.value() = first ? before.clone() : before;
    }
    for (size_t i = 0; i < buffers[0].size(); ++i)
      buffers[shard][i].variable.value().copy_from(buffers[0][i].variable.value());
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
  threads_.run([&](size_t index) {
    const int64_t shard = layout_.first_shard() + static_cast<int64_t>(index);
    const Range in_batch = cut(place.piece.size(), shard, layout_.shards) + place.piece.begin;
    const Range here = in_batch - place.here.begin;
    step_randomness() = randomness;
    step_randomness().first_sample = in_batch.begin;
    const BatchExchangeScope scope(layout_.shards > 1 ? &exchange_.of_shard(index) : nullptr);
    work({index, *nets_[index], images.slice(here.begin, here.end), labels.slice(here.begin, here.end)});
  });
  times_.compute += seconds_since(start);
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
  return others_ == nullptr ? here : sum(others_->all_gather(here));
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
