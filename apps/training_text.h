// What a training prints beside its progress: the head, a line for each epoch, and how it ended.
#pragma once

#include <filesystem>
#include <string>

#include "apps/layer_table.h"
#include "apps/settings.h"
#include "apps/trainer.h"
#include "data/dataset.h"
#include "layers/checkpoint.h"

namespace convoy {

void print_how_to_get_mnist();

// What is trained, on what, where and how: a line each.
std::string header_text(const Settings& settings, const DatasetSplits& data, const LayerTable& layers);

// `header`: header_text(). `run`: the run's folder, not told when empty. `from`: what the training goes on from; null: it begins.
void print_header(const std::string& header, const std::string& run, const Checkpoint* from);

// An epoch that --steps has cut short tells its part.
std::string epoch_line(const EpochReport& report, const StepCount& steps, const char* evaluated);

// `run`: its folder.
void print_result(const TrainingResult& result, const Settings& settings, const std::filesystem::path& run);

}  // namespace convoy
