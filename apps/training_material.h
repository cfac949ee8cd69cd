// What a training works on: data, and a network as it begins.
#pragma once

#include <memory>
#include <optional>

#include "apps/run_config.h"
#include "apps/settings.h"
#include "data/dataset.h"
#include "layers/checkpoint.h"
#include "layers/models.h"

namespace convoy {

// The same on every rank.
struct Material {
  DatasetSplits data;  // on the current stream's device
  std::unique_ptr<Module> net;
  std::optional<Checkpoint> from;  // which `net` is as at; none where the training begins
};

ImageExtent extent_of(const Dataset& dataset);
std::unique_ptr<Module> make_net(const Settings& settings, const Dataset& dataset);

// `resumed`: the run that goes on; null: one begins. Warnings are printed when `tell_warnings`. Throws what could not
// work or would fail in mid-training.
Material prepare(const Settings& settings, const RunConfig* resumed, bool tell_warnings);

}  // namespace convoy
