// Data-parallel steps: every strategy is this class with another Layout. The batch is cut into shards; each goes forward and
// backward through weights of its replica on a thread of its own; gradients are summed into the first shard's, which is
// the network itself, where the optimizer finds them; then the replicas copy its weights.
//
//   DataParallel parallel(net, make_net, {.layout = layout, .streams = streams}, communicator);
//   parallel.begin_step();
//   parallel.run(images, labels, place, [&](const Shard& shard) { … loss.backward(); }, true);
//   parallel.finish_gradients();
//   parallel.update([&] { optimizer.step(lr); });
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "layers/module.h"
#include "parallel/communicator.h"
#include "parallel/gradient_buckets.h"
#include "parallel/layout.h"
#include "parallel/shard_exchange.h"
#include "parallel/shard_threads.h"
#include "parallel/trace.h"
#include "tensor/cut.h"
#include "tensor/device.h"

namespace convoy {

struct DataParallelOptions {
  Layout layout;
  std::vector<Stream> streams;  // of each replica; the first is the one that the optimizer works on, too
  int64_t bucket_bytes = int64_t{1} << 20;
  Trace* trace = nullptr;  // gets what happens in a step, where there is one
};

// One shard of a batch, for the thread that computes it.
struct Shard {
  size_t index;           // among those of this process
  Module& net;            // the weights of its replica; gradients, tape and running statistics of its own
  Tensor images, labels;  // [n, …], [n]; n may be 0
};

// What is counted over a batch.
struct Totals {
  double loss = 0;
  int64_t samples = 0, correct = 0;
  bool stop = false;  // on any rank
};

// Where the time of a step goes, in seconds. Together they are the step, but for what waits for batches.
struct StepTimes {
  double copy = 0;         // weights, from the first replica to the others
  double compute = 0;      // forward and backward, with the exchanges in between
  double exchange = 0;     // of compute: batch norm's exchanges between ranks
  double reduce = 0;       // of compute: gradients added up among the shards of this process
  double communicate = 0;  // waiting for losses and gradients of the other ranks, after backward has ended
  double update = 0;       // the optimizer
  StepTimes& operator+=(const StepTimes& other);
};

class DataParallel {
 public:
  using Work = std::function<void(const Shard&)>;

  // Refers to `net`, whose weights and running statistics become rank 0's; make() builds the same network once more, on
  // the device of current_stream(). `others` connects all ranks of the layout; null when there is one. Collective.
  DataParallel(Module& net, const std::function<std::unique_ptr<Module>()>& make, const DataParallelOptions& options,
               Communicator* others);

  const Layout& layout() const { return layout_; }
  Communicator* others() const { return others_; }
  Trace* trace() const { return trace_; }

  // --- on the first replica's stream
  // Training mode, gradients cleared, weights copied to the replicas.
  void begin_step();
  void begin_evaluation();
  void share_buffers();  // the network's to all shards, after the former were changed from outside

  // Runs `work` on every shard of this process; batch norm exchanges its statistics between all shards of all ranks. The
  // calling thread's step_randomness() is theirs, but for the position in the batch. images, labels: this process's part
  // of a batch, as `place` says. After backward passes with `last`, the sums of gradients are under way.
  void run(const Tensor& images, const Tensor& labels, const BatchPlace& place, const Work& work, bool last = false);

  // The sum over all shards of all ranks, of what each shard of this process has counted. Losses are added up along the
  // binary tree over shards.
  Totals total(std::span<const Totals> of_shards);

  void finish_gradients();
  void update(const std::function<void()>& step);  // of the optimizer

  StepTimes times() const { return times_; }  // since the last begin_step()

 private:
  std::vector<std::vector<Variable>> parameters() const;  // of each shard
  std::vector<std::mutex*> slots();                       // of each shard
  void begin_thread(size_t shard);                        // on it
  void share_weights();
  void copy_weights();

  const Layout layout_;
  const std::vector<Stream> streams_;  // of each replica
  Communicator* others_;
  Trace* trace_;
  std::vector<std::unique_ptr<Module>> copies_;  // of shards 1, 2, …
  std::vector<Module*> nets_;                    // of each shard
  std::vector<std::mutex> replica_slots_;
  GradientBuckets gradients_;
  ShardExchange exchange_;
  ShardThreads threads_;
  StepTimes times_;
};

}  // namespace convoy
