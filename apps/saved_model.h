// What --init names: the folder of a run, one of its checkpoints, or a file of weights.
#pragma once

#include <filesystem>
#include <optional>

#include "apps/run_config.h"
#include "layers/weights.h"

namespace convoy {

struct SavedModel {
  std::filesystem::path weights;    // the file
  std::optional<RunConfig> config;  // of its run; none where the file holds weights alone
  TensorFile file;                  // what is in it

  void load(Module& net) const;  // throws as load_weights()
};

// Of a run's folder its best checkpoint, else the newest. Throws Error(data) when there is neither or the file cannot
// be read.
SavedModel find_saved_model(const std::filesystem::path& init);

// `given`, and from `saved` those settings of its run that say what the network is and what it was trained and tested
// on, as far as they are not given: with --dataset in `given` none of the data's.
GivenOptions with_settings_of(const SavedModel& saved, const GivenOptions& given);

// The same for what a training begins with, the --init in `given`; without one, `given`.
GivenOptions with_settings_of_init(const GivenOptions& given);

}  // namespace convoy
