// The checkpoints of a run:
//
//   runs/<name>/checkpoints/step-00000938.safetensors   after so many steps; the newest are kept
//   runs/<name>/checkpoints/best.safetensors            of the evaluation with the highest accuracy
//
// Each is there whole or not at all, and none is removed before its successor is complete.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "layers/checkpoint.h"

namespace convoy {

class CheckpointFolder {
 public:
  // Of the run in the folder `run`; created with the first checkpoint.
  CheckpointFolder(const std::filesystem::path& run, int64_t keep);

  // Throw Error(io).
  void write_step(int64_t step, const Module& module, const TrainingParts& parts, const CheckpointFacts& facts) const;
  void write_best(const Module& module, const TrainingParts& parts, const CheckpointFacts& facts) const;

  // Of what it holds the newest that is whole; `warn` gets a line for each newer one that is not. Throws Error(data)
  // when there is none.
  Checkpoint read_newest(const std::function<void(const std::string&)>& warn) const;

  // best.safetensors, else the newest; an empty path when there is neither. It need not be whole.
  std::filesystem::path best_or_newest() const;

  // Removes what writers that were killed have left unfinished. For the one process that writes here.
  void remove_unfinished() const;

 private:
  void create() const;

  std::filesystem::path folder_;
  size_t keep_;
};

}  // namespace convoy
