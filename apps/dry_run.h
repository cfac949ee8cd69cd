// `convoy train --dry-run`: everything that a training does, for a few steps and one batch of the evaluation, and what
// that tells of the whole. Nothing is written.
#pragma once

#include "apps/interrupt.h"
#include "apps/settings.h"
#include "data/dataset.h"
#include "layers/module.h"
#include "parallel/data_parallel.h"

namespace convoy {

// As train() (trainer.h); changes `net`. Prints where it `tells`, which is on rank 0. Returns the exit code.
int dry_run(Module& net, const DatasetSplits& data, const Settings& settings, DataParallel* parallel,
            const InterruptGuard& interrupt, bool tells);

// Of all images, if the first batch of them took so long.
double seconds_of_evaluation(double of_first_batch, int64_t batch, int64_t images);

}  // namespace convoy
