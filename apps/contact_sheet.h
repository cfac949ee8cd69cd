// Images of a data set side by side, each with a caption.
#pragma once

#include <string>
#include <vector>

#include "apps/gnuplot.h"
#include "data/dataset.h"

namespace convoy {

struct Tile {
  int64_t image;                     // position in the data set
  std::vector<std::string> caption;  // lines below it
};

// Row by row, `columns` in each (0: about as many rows as a screen is high), enlarged where they are small, as they
// were before augmentation. The drawing's data is the sheet without its letters, u8 [h,w,3].
Drawing contact_sheet(const Dataset& dataset, const std::vector<Tile>& tiles, int64_t columns,
                      const std::string& title);

}  // namespace convoy
