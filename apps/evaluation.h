// Loss and accuracy of a model on a data set: every sample once, no gradients, running statistics, no
// dropout.
#pragma once

#include <functional>
#include <optional>

#include "data/loader.h"
#include "layers/module.h"

namespace convoy {

struct Evaluation {
  double loss = 0;      // mean cross entropy, without label smoothing
  double accuracy = 0;  // percent
};

// How many rows of logits [N,classes] have their largest value at the label; labels i32 [N].
int64_t count_correct(const Tensor& logits, const Tensor& labels);

// Leaves `net` in evaluation mode. `on_batch` gets the logits [n,classes] and labels i32 [n] of each batch, in the
// order of the data set. Nothing when `stop_requested` came true before the end. `batch` and `workers` change speed
// only, up to the rounding of the mean. Throws Error(numeric) naming the first layer when the loss is not finite.
std::optional<Evaluation> evaluate(
    Module& net, const Dataset& dataset, int64_t batch, int workers, const std::function<bool()>& stop_requested,
    const std::function<void(const Tensor& logits, const Tensor& labels)>& on_batch = [](const Tensor&, const Tensor&) {
    });

}  // namespace convoy
