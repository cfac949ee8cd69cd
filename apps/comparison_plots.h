// The pictures of a comparison, as scripts for gnuplot that carry their data with them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "apps/comparison.h"
#include "apps/signal_file.h"

namespace convoy {

struct Plot {
  std::string name;     // "speedup-mnist-cnn": <name>.svg and <name>.png
  std::string caption;  // what it shows
  size_t model;         // index into the plan
  std::string script;   // all but the terminal and the file
};

// Of every model with a complete round: training time, speed-up, efficiency, loss curves, where the time goes.
std::vector<Plot> comparison_plots(const Comparison& comparison);

// Writes the scripts into `folder` and has gnuplot draw them there. Returns "", or in a line why there are no pictures.
std::string draw(const std::vector<Plot>& plots, const std::filesystem::path& folder, const SignalFile& signals);

}  // namespace convoy
