// A training step and an evaluation in shards, over all replicas and ranks (parallel/data_parallel.h).
#pragma once

#include <functional>
#include <optional>

#include "apps/evaluation.h"
#include "apps/settings.h"
#include "apps/trainer.h"
#include "autograd/optimizer.h"
#include "data/loader.h"
#include "parallel/data_parallel.h"

namespace convoy {

struct ParallelStepReport {
  StepReport report;
  bool stop = false;  // requested on any rank
};

// Takes the loader's next batch, in settings.accumulate pieces, through forward, loss, backward and update; nothing
// when there is none. `report` has step, epoch and lr; what is returned also loss, samples and correct, the same on all
// ranks, and this rank's times. All ranks throw an AgreedError(numeric) for a loss that is not finite; that step
// changes no weight.
std::optional<ParallelStepReport> step_in_parallel(DataParallel& parallel, Optimizer& optimizer, Loader& loader,
                                                   const Settings& settings, StepReport report,
                                                   const std::function<bool()>& stop_requested);

// As evaluate(), every sample once; the sums are added up in the order of shards. Nothing when `stop_requested` came
// true on any rank.
std::optional<Evaluation> evaluate_in_parallel(DataParallel& parallel, const Dataset& dataset, int64_t batch,
                                               int workers, const std::function<bool()>& stop_requested);

}  // namespace convoy
