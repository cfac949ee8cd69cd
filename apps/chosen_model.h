// The network that --model and --dataset name, for commands that need no images: summary, export, import.
#pragma once

#include <memory>
#include <string>

#include "apps/settings.h"
#include "data/dataset.h"
#include "layers/models.h"

namespace convoy {

struct ChosenModel {
  std::string model;  // as --model has it
  const DatasetRow& dataset;
  ImageExtent input;
  std::unique_ptr<Module> net;  // not yet initialised
};

ChosenModel choose_model(const std::string& model, const std::string& dataset);

// As the options say; without --dataset the first with a recipe for the model, else mnist.
ChosenModel choose_model(const GivenOptions& given);

// "lenet5 for mnist, 61,706 parameters"
std::string text_of(const ChosenModel& chosen);

}  // namespace convoy
