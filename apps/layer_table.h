// What a network is made of: per layer its output shape, parameters and multiply-adds for one sample.
#pragma once

#include <string>
#include <vector>

#include "layers/layers.h"

namespace convoy {

struct LayerRow {
  std::string name, description;
  Shape output;               // of one sample: [H,W,C] or [features]
  int64_t parameters = 0;     // trainable, own
  int64_t multiply_adds = 0;  // of one sample's forward pass
};

struct LayerTable {
  std::vector<LayerRow> rows;  // the layers without children, in the order they run
  int64_t parameters = 0, multiply_adds = 0;
};

// Runs one black image through `net`, which it leaves in evaluation mode.
LayerTable tabulate(Module& net, ImageExtent input);

}  // namespace convoy
