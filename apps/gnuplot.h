// Pictures drawn by gnuplot, which is another program and may be missing.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "apps/signal_file.h"

namespace convoy {

// Runs the script `file` in `folder`. Returns what keeps it from being drawn: "gnuplot is not installed (apt install
// gnuplot-nox)", or "gnuplot failed: <why>"; empty when it is drawn.
std::string run_gnuplot(const std::filesystem::path& folder, const std::string& file, const SignalFile& signals);

// A text in gnuplot's single quotes, in which nothing is replaced, least of all `commands` by what they print.
std::string in_quotes(const std::string& text);

// A picture as gnuplot draws it.
struct Drawing {
  int64_t w = 0, h = 0;  // pixels
  std::string script;    // what follows the lines that set terminal and output
  std::string data;      // the script finds it as the file "data"
};

// Draws it to the PNG file `output`, which is there whole or not at all. Throws Error(io).
void draw_png(const Drawing& drawing, const std::filesystem::path& output);

}  // namespace convoy
