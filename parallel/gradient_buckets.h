// Where gradients lie and how they are summed. Each shard has one flat array of all its gradients, those of the last
// parameters first, because a backward pass completes them in that order; it is cut into buckets at the bounds of
// parameters. As soon as the last shard has completed a bucket, the shards' buckets are added up along the binary tree
// into shard 0's, and the sum over all ranks is started, while backward goes on with the next bucket.
//
//   flat   | linear2.bias linear2.weight | linear1.bias linear1.weight … | … conv1.bias conv1.weight |
//          '-------- bucket 0 ----------'-------------- bucket 1 -------'---------- bucket 2 --------'
//
// Li et al., "PyTorch Distributed: Experiences on Accelerating Data Parallel Training", 2020.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "autograd/variable.h"
#include "parallel/communicator.h"
#include "parallel/trace.h"

namespace convoy {

class GradientBuckets {
 public:
  // shards[i] are the parameters as shard i of this process sees them, in the same order for all, on one device each;
  // their gradients are placed here. A bucket holds at least one parameter, and more while they fit into `bucket_bytes`. `others`: all
  // ranks, or null. `trace`, or null, gets the sums between ranks.
  GradientBuckets(const std::vector<std::vector<Variable>>& shards, int64_t bucket_bytes, Communicator* others,
                  Trace* trace = nullptr);
  ~GradientBuckets();

  // The next backward pass of each shard, any number of threads, is the last of this step: it sums.
  void start();
  // Waits for other ranks. For the current stream, the gradients of shard 0 are then the sums over all shards of all
  // ranks, the same bits on every rank; those of other shards are spoilt.
  void finish();

  size_t count() const;
  // Spent adding up shards of this process in the last step, by whichever thread; on GPUs, in asking for it.
  double seconds_adding() const;

 private:
  struct State;
  std::shared_ptr<State> state_;  // hooks on parameters may outlive the buckets: they hold it weakly
};

}  // namespace convoy
