// The training loop. It knows nothing of the command line, the terminal or files: it reports through
// TrainingEvents.
#pragma once

#include <functional>
#include <optional>

#include "apps/evaluation.h"
#include "apps/settings.h"
#include "apps/training_state.h"
#include "autograd/optimizer.h"
#include "data/dataset.h"
#include "layers/checkpoint.h"
#include "layers/module.h"
#include "parallel/data_parallel.h"

namespace convoy {

struct StepReport {
  int64_t step = 0, epoch = 0;          // from 1
  float loss = 0, lr = 0;               // of this step's batch, before its update
  int64_t samples = 0, correct = 0;     // of this step's batch
  double seconds = 0;                   // spent training since the start, without evaluation
  std::optional<StepTimes> times = {};  // of this step, where it is done in parallel
};

struct EpochReport {
  int64_t step = 0, epoch = 0;  // from 1; `step` is the last one
  float lr = 0;                 // of the last step
  double train_loss = 0;        // mean over the epoch's samples, while the weights changed
  double train_accuracy = 0;    // percent, likewise
  Evaluation evaluation;
  double seconds = 0;                   // of this epoch, without evaluation
  std::optional<StepTimes> times = {};  // the sum over its steps, where they are done in parallel
};

enum class CheckpointKind { latest, best };

struct TrainingEvents {
  std::function<void(const StepReport&)> on_step;
  std::function<void(const EpochReport&)> on_epoch;
  std::function<bool()> stop_requested;  // asked after each step and between batches of an evaluation
  // The next two may be empty. Fills the parts of a training that goes on, before its first step.
  std::function<void(const TrainingParts&)> on_resume;
  // Keeps weights, parts and state, between two steps: as settings.checkpoint_every asks for it, at the end, before one by
  // stop_requested, and of the best evaluation so far. With settings.ema the network then has the average.
  std::function<void(CheckpointKind, const TrainingState&, const TrainingParts&)> on_checkpoint;
  // The next two may be empty. Around each step, from waiting for its batch to the last of its updates; at the end of an
  // epoch the first is called once more, without a step.
  std::function<void()> before_step = {}, after_step = {};
};

struct TrainingResult {
  int64_t steps = 0, epochs = 0;  // begun
  int64_t samples = 0;
  double seconds = 0;     // spent in steps and waiting for batches; loading, evaluation and checkpoints are not counted
  bool stopped = false;   // by stop_requested, before its end
  Evaluation evaluation;  // of the weights it ends with; meaningless when stopped
  std::optional<int64_t> best_epoch = {};  // with settings.patience: these are the weights it ends with, unless stopped
  bool early = false;                      // it ran out of patience before its last step
  double samples_per_second() const { return seconds > 0 ? static_cast<double>(samples) / seconds : 0; }
};

// A whole training counted in optimizer steps: --epochs epochs over so many samples, cut at --steps.
struct StepCount {
  int64_t per_epoch, total;
  int64_t epochs() const { return (total + per_epoch - 1) / per_epoch; }  // the last one may be cut
};
StepCount count_steps(const Settings& settings, int64_t samples);

// Trains `net` in place on data.train and evaluates it on data.test after each epoch; with settings.ema what is
// evaluated, and left in `net`, is the average; with settings.patience `net` ends as it was after its best evaluation.
// The losses are a function of weights, data and settings; threads and workers change nothing. Throws Error(numeric)
// naming step and layer when a loss is not finite: that step's update is not made. `parallel`: who computes the shards
// of `net`'s batches, on all ranks; null: this thread takes whole batches. `state`: from where it goes on, `net` being
// as it was then; by default from the beginning. Checkpoints change nothing.
TrainingResult train(Module& net, const DatasetSplits& data, const Settings& settings, const TrainingEvents& events,
                     DataParallel* parallel = nullptr, TrainingState state = {});

}  // namespace convoy
