// What each data set is trained with unless the user says otherwise: one row per pair of data set and model.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace convoy {

struct Recipe {
  const char* dataset;
  const char* model;    // the first row of a data set names its default model
  const char* options;  // "--epochs 5 --lr 1e-3": as if typed before the user's own
  const char* why;
};

std::span<const Recipe> recipe_table();

// The row of this pair, or of the data set's default model when `model` is empty; null when there is none.
const Recipe* find_recipe(std::string_view dataset, std::string_view model);

// Which model each data set has when none is named: "lenet5 for mnist, cifar-cnn for cifar10".
std::string default_models();

// The table as text, for the help.
std::string recipe_help();

}  // namespace convoy
