// The images that a network is most wrong about.
#pragma once

#include <span>

#include "apps/gnuplot.h"
#include "data/dataset.h"

namespace convoy {

struct Mistake {
  int64_t image;
  int32_t actual, predicted;
  double share;  // the probability that the network gives to its prediction
  double loss;
};

// At most `count` images whose largest logit is not that of their class, the largest loss first. logits f32
// [images,classes].
std::vector<Mistake> worst_mistakes(const Tensor& logits, const Tensor& labels, int64_t count);

// As a contact sheet.
Drawing picture_of(const Dataset& dataset, const std::vector<Mistake>& mistakes, const std::string& title);

}  // namespace convoy
