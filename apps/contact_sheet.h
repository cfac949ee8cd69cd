// Images of a data set side by side, each with a caption, as a PNG file.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace convoy {

struct Tile {
  int64_t image;                     // position in the data set
  std::vector<std::string> caption;  // lines below it
};

// Draws them row by row, `columns` in each (0: about as many rows as a screen is high), enlarged where they are small, as they were before augmentation. Throws Error(io).
void draw_contact_sheet(const Dataset& dataset, const std::vector<Tile>& tiles, int64_t columns,
                        const std::string& title, const std::filesystem::path& output);

}  // namespace convoy
