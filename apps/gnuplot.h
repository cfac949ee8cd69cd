// Pictures by gnuplot (http://www.gnuplot.info), from scripts that carry their data with them.
#pragma once

#include <filesystem>
#include <string>

#include "apps/signal_file.h"

namespace convoy {

// Text within gnuplot's double quotes.
std::string quoted(const std::string& text);

// Writes <name>.gp into `folder`, made of `script`, which is all but the terminal and the file, and has gnuplot draw
// <name>.svg and <name>.png there. Returns "", or in a line why there is no picture.
std::string draw(const std::string& name, const std::string& script, const std::filesystem::path& folder,
                 const SignalFile& signals);

}  // namespace convoy
