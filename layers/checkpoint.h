// A checkpoint: all that a training goes on from, in one file. It is a safetensors file with
//
//   fc1.weight, bn1.running_mean, …   weights and buffers as weights.h writes them, so that it can be read as weights, too
//   optimizer.steps, optimizer.0.first, …   the optimizer's state, in the layout of memory
//   training.fc1.weight, …            what training goes on with, where the weights above are an average
//   best.fc1.weight, …                of the best epoch so far, where the training is to end with these
//   __metadata__   format = convoy-checkpoint, version = 1, sha256, and the facts of whoever writes it
//
// The version is 2 with any of training.* and best.*, so that a program that knows nothing of these refuses the file.
// `sha256` is the SHA-256 of the whole file with 64 zeros in its place. docs/checkpoint_format.md tells it to other readers.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "autograd/optimizer.h"
#include "layers/module.h"
#include "layers/weight_copy.h"
#include "tensor/safetensors.h"

namespace convoy {

using CheckpointFacts = std::map<std::string, std::string>;

// What a training works with. `training` and `best` may be null.
struct TrainingParts {
  Optimizer& optimizer;
  WeightCopy* training = nullptr;  // beside an average in the network; while training is under way, the average itself
  WeightCopy* best = nullptr;
};

// Writes it atomically. Throws Error(io), leaving any old file intact.
void write_checkpoint(const std::filesystem::path& path, const Module& module, const TrainingParts& parts,
                      const CheckpointFacts& facts);

// A checkpoint that was written whole and has not changed since.
struct Checkpoint {
  std::filesystem::path path;
  TensorFile file;  // the facts are in its metadata

  const std::string& fact(const std::string& name) const;  // throws Error(data) when there is none

  // Fill what is given; nothing of it is changed unless all fits. Throw Error(data) naming the tensor.
  void load(Module& module) const;  // with what training goes on with
  void load(Optimizer& optimizer) const;
  void load(const TrainingParts& parts) const;
};

// Throws Error(data) for a file that is no checkpoint, of another version, truncated or damaged.
Checkpoint read_checkpoint(const std::filesystem::path& path);

}  // namespace convoy
