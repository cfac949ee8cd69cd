// A second set of a network's weights and buffers: their moving average, or those of its best epoch.
//
//   WeightCopy average(net);                                       // as the network is now
//   average.approach(1 - average_decay(settings.ema, step));       // after each step
//   average.exchange();                                            // the network has the average, and back again
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "layers/module.h"
#include "tensor/kernels.h"
#include "tensor/safetensors.h"

namespace convoy {

class WeightCopy {
 public:
  // Refers to the tensors of `module`, which keep their places.
  explicit WeightCopy(const Module& module);

  void take();                // the network's
  void give();                // to the network
  void exchange();            // with the network
  void approach(float rate);  // copy += rate * (network - copy)

  // In a file, under the names of the network behind `prefix`; load() throws Error(data) that begins with `where`.
  void add_to(TensorFile& file, const std::string& prefix) const;
  void load(const TensorFile& file, const std::string& where, const std::string& prefix);

 private:
  std::vector<NamedVariable> network_, copy_;  // the same names in the same order
  std::vector<ParameterSlice> slices_;         // kept, so that a step allocates nothing
};

// The decay of a moving average at its update number `step`, from 1: `decay`, but (1 + step) / (10 + step) where that is
// less, so that the weights of the beginning are soon forgotten. TensorFlow's num_updates
// (https://www.tensorflow.org/api_docs/python/tf/train/ExponentialMovingAverage).
float average_decay(float decay, int64_t step);

}  // namespace convoy
