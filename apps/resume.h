// `convoy train --resume DIR`: which settings a run goes on with, and whether what is there fits.
#pragma once

#include <filesystem>

#include "apps/run_config.h"
#include "layers/checkpoint.h"

namespace convoy {

// The configuration of the run in `--resume`, of which `settings` are what to go on with: `given` options that change
// no result overrule its own. Throws Error(usage) for others, and Error(data) for a folder that holds no run.
RunConfig config_to_resume(const GivenOptions& given);

// Whether the run has come to its end, and there is nothing to go on with.
bool is_complete(const std::filesystem::path& run);

// Throws Error(data) naming the difference unless `checkpoint` is of this run, and of kernels that give the same bits
// here.
void check_fits(const Checkpoint& checkpoint, const RunConfig& config);

// Throws Error(data) unless these are as many images as the run began with, of the same classes, size and brightness.
void check_images(const RunConfig& config, const DatasetSplits& data);

}  // namespace convoy
