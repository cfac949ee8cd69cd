// The steps of a training, one batch after the other: at once on the CPU and for odd batches, from a recording on a
// GPU, or in shards on several replicas and ranks.
//
//   steps.start_epoch(0, 0);
//   while (steps.run(report, done)) ...;
//   steps.finish(done);
#pragma once

#include <functional>
#include <memory>

#include "apps/recorded_step.h"
#include "apps/settings.h"
#include "apps/trainer.h"
#include "autograd/optimizer.h"
#include "data/loader.h"
#include "layers/module.h"
#include "parallel/data_parallel.h"

namespace convoy {

class TrainingSteps {
 public:
  // Refers to all arguments but `images`, which are shared. `parallel`: who computes the shards of a batch; null: this
  // thread takes whole batches.
  TrainingSteps(Module& net, Optimizer& optimizer, const Dataset& images, const Settings& settings,
                std::function<bool()> stop_requested, DataParallel* parallel);

  using Done = std::function<void(const StepReport&)>;

  void start_epoch(int64_t epoch, int64_t first_batch);  // both from 0
  // Takes the epoch's next batch through forward, loss, backward and update; false when there is none. `report` has
  // step, epoch and lr. `done` is called with loss, samples and correct filled in, for each step in order, at the
  // latest by finish(). Throws Error(numeric) for a loss that is not finite; that step changes no weight.
  bool run(StepReport report, const Done& done);
  void finish(const Done& done);
  // Asked after a step; what all ranks have agreed on during it, where there are several.
  bool stop_requested() const;

 private:
  void run_now(const Batch& batch, StepReport& report);
  void hand_over(std::optional<RecordedStep::Finished> finished, const Done& done);
  void set_step_randomness(const StepReport& report);
  void check_finite(const StepReport& report, const Tensor& images);

  Module& net_;
  Optimizer& optimizer_;
  const Settings& settings_;
  std::function<bool()> stop_requested_;
  DataParallel* parallel_;
  bool agreed_to_stop_ = false;
  bool updated_ = false;  // every parameter, once
  Loader loader_;
  std::unique_ptr<RecordedStep> recorded_;  // null where steps are not recorded
};

}  // namespace convoy
