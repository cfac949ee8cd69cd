// Where a training stands between two steps. With weights, buffers and the optimizer's state it is all that the rest of
// the training depends on: batches, draws and learning rates are functions of the seed and the step.
#pragma once

#include <cstdint>
#include <optional>

#include "apps/evaluation.h"
#include "layers/checkpoint.h"
#include "parallel/data_parallel.h"

namespace convoy {

// Sums over the steps of one epoch, as far as they are done.
struct EpochSums {
  double loss = 0;  // over samples: each step's mean loss, times its samples
  int64_t samples = 0, correct = 0;
  double seconds = 0;                   // spent in steps and waiting for batches
  std::optional<StepTimes> times = {};  // where steps are done in parallel
};

struct TrainingState {
  int64_t steps = 0, epochs = 0;  // done; begun
  int64_t samples = 0;
  double seconds = 0;                                    // as an epoch's
  EpochSums epoch = {};                                  // of the epoch begun; empty once that is evaluated
  std::optional<Evaluation> evaluation = {}, best = {};  // the last one, and the first of the highest accuracy
  std::optional<int64_t> best_epoch = {};                // that of `best`, from 1

  bool in_epoch() const { return epoch.samples > 0; }  // steps are done that no evaluation has followed yet
};

// As named texts of a checkpoint, and back with the same bits. Throws Error(data) for texts that are no numbers.
CheckpointFacts facts_of(const TrainingState& state);
TrainingState state_of(const Checkpoint& checkpoint);

// One number among a checkpoint's facts, likewise.
int64_t count_of(const Checkpoint& checkpoint, const char* name);

}  // namespace convoy
