// A training step on a GPU as one recorded graph: augmentation, forward, backward, update. Replaying it costs one
// upload (which samples, which learning rate) and one launch; loss and predictions come back while the next step runs.
//
// What changes from step to step lies in one block of device memory, `inputs_`; what is read back in another,
// `results_`. From the first loss that is not finite on, the optimizer's kernels leave the weights alone.
#pragma once

#include <memory>
#include <optional>

#include "apps/settings.h"
#include "apps/trainer.h"
#include "autograd/optimizer.h"
#include "data/loader.h"
#include "tensor/cuda/cuda.h"

namespace convoy {

class RecordedStep {
 public:
  // For batches of settings.batch of the loader's images, which are on the current stream's device.
  RecordedStep(Module& net, Optimizer& optimizer, const Loader& loader, const Settings& settings);

  struct Finished {
    StepReport report;     // with loss, samples and correct
    BatchSamples samples;  // it was made of
  };
  // Enqueues the step of `samples`; `report` has step, epoch and lr. Returns the step before it, unless that was
  // returned already. The first call records; by then every parameter must have had an update.
  std::optional<Finished> run(const BatchSamples& samples, const StepReport& report);
  // Waits for the step last run; nothing when it was returned already.
  std::optional<Finished> finish();

 private:
  void record();

  Module& net_;
  Optimizer& optimizer_;
  const Loader& loader_;
  const Settings& settings_;
  Tensor host_inputs_, inputs_;  // i32: StepScalars in the first kScalars, then positions [n] and labels [n]
  Tensor results_;               // i32: the bits of the loss, then predictions [n]
  Tensor spoilt_;                // f32 [1]: 0, and NaN from the first loss on that is not finite
  cuda::Readback readback_;
  std::unique_ptr<cuda::Graph> graph_;
  std::optional<Finished> pending_;
};

}  // namespace convoy
