// Plots: scripts for gnuplot that carry their data with them, drawn as SVG for pages and as PNG for all else.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "apps/signal_file.h"

namespace convoy {

struct Plot {
  std::string name;     // "speedup-mnist-cnn": <name>.gp, <name>.svg and <name>.png
  std::string caption;  // what it shows
  size_t subject = 0;   // which of several things it is about, as its maker counts them
  std::string script;   // all but the terminal and the file
};

struct Picture {
  Plot plot;
  std::string svg;  // the content of the file
};

enum class Scripts { stay, vanish };  // whether the folder is there for people, or only until the pictures are read

// Writes the scripts into `folder` and has gnuplot draw them there. Returns "", or in a line why there are no pictures.
std::string draw(const std::vector<Plot>& plots, const std::filesystem::path& folder, const SignalFile& signals,
                 Scripts scripts);

// What draw() has drawn there.
std::vector<Picture> read_pictures(const std::vector<Plot>& plots, const std::filesystem::path& folder);

// A title in the middle of the picture, which is not that of the plot.
std::string title_script(const std::string& title);

// A scale on which the smallest and the largest number of a curve can both be read: from 0 on, or logarithmic.
std::string y_scale_script(double least, double most);

using CurvePoint = std::pair<double, double>;  // x, y

// At most so many points, each the mean of consecutive ones.
std::vector<CurvePoint> thinned(const std::vector<CurvePoint>& points, size_t most);

// "$name << EOD", a line for each point, "EOD".
std::string data_block(const std::string& name, const std::vector<CurvePoint>& points);

}  // namespace convoy
