// The BatchExchange among all shards of a batch: where their threads meet, and then their processes. Values are merged along
// the binary tree over shards (binary_tree.h) in double precision, so the result depends on the shards alone.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "autograd/batch_exchange.h"
#include "parallel/communicator.h"
#include "parallel/trace.h"

namespace convoy {

class ShardExchange {
 public:
  // Among slots.size() shards of this process and, unless `others` is null, those of all other ranks. Shard i holds
  // slots[i] while it computes; it is given up while the shard waits, so that one slot suffices for many shards.
  // `trace`, or null, gets how long each shard was held up.
  ShardExchange(std::vector<std::mutex*> slots, Communicator* others, Trace* trace = nullptr);
  ~ShardExchange();

  // The exchange as shard i of this process sees it.
  BatchExchange& of_shard(size_t shard);

  // Seconds that exchanges have spent between ranks since the last call; all shards of this process wait meanwhile. Called
  // while none is in an exchange.
  double take_seconds_between_ranks();

  // A shard has failed and will not come: those who wait, or come later, throw Error(peer).
  void close();

 private:
  class OfShard;
  using Values = std::vector<double>;
  using Merge = void (*)(std::span<double> into, std::span<const double> from);

  // Blocks until all shards have called; returns the merged values of all.
  std::shared_ptr<const Values> meet(size_t shard, Values mine, Merge merge);
  Values merge_all(Merge merge);  // parts_ and those of other ranks

  std::vector<std::mutex*> slots_;
  Communicator* others_;
  Trace* trace_;
  std::vector<std::unique_ptr<OfShard>> of_shard_;

  // --- guarded by mutex_
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Values> parts_;  // of each shard, this round
  size_t arrived_ = 0;
  int64_t round_ = 0;
  std::shared_ptr<const Values> result_;  // of the last round: the next cannot end before all have fetched it
  double between_ranks_ = 0;              // seconds
  bool closed_ = false;
};

}  // namespace convoy
