#include "apps/contact_sheet.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "apps/gnuplot.h"
#include "apps/letters.h"

namespace convoy {
namespace {

constexpr int64_t kTileSide = 96, kLargestTile = 256;  // pixels: small images are enlarged to about the former
constexpr int64_t kLine = 14, kLetter = 7;  // of captions, in pixels: their height, and a letter's usual width
constexpr int64_t kGap = 12, kTitle = 34, kMostLetters = 22;

// Where tiles lie, in pixels from the upper left.
struct Grid {
  int64_t columns = 1, rows = 1;
  int64_t larger = 1, smaller = 1;  // an image is made so many times as large, or of so many pixels one
  int64_t tile_w = 0, tile_h = 0, cell_w = 0, cell_h = 0, w = 0, h = 0;

  int64_t left(size_t tile) const {
    return kGap + static_cast<int64_t>(tile) % columns * cell_w + (cell_w - tile_w) / 2;
  }
  int64_t top(size_t tile) const { return kTitle + static_cast<int64_t>(tile) / columns * cell_h; }
};

Grid grid_of(const Dataset& dataset, const std::vector<Tile>& tiles, int64_t columns, const std::string& title) {
  const int64_t h = dataset.images.size(1), w = dataset.images.size(2), side = std::max(h, w);
  Grid grid;
  grid.larger = std::max<int64_t>(1, kTileSide / side);
  grid.smaller = (side + kLargestTile - 1) / kLargestTile;
  grid.tile_w = std::max<int64_t>(1, w * grid.larger / grid.smaller);
  grid.tile_h = std::max<int64_t>(1, h * grid.larger / grid.smaller);
  int64_t letters = 0, lines = 0;
  for (const Tile& tile : tiles) {
    lines = std::max(lines, static_cast<int64_t>(tile.caption.size()));
    for (const std::string& line : tile.caption) letters = std::max(letters, letters_of(shortened(line, kMostLetters)));
  }
  grid.cell_w = std::max(grid.tile_w, letters * kLetter) + kGap;
  grid.cell_h = grid.tile_h + lines * kLine + kGap + 4;
  const auto count = static_cast<int64_t>(tiles.size());
  if (columns <= 0)  // four to three
    columns =
        std::lround(std::sqrt(static_cast<double>(count * grid.cell_h) / static_cast<double>(grid.cell_w) * 4 / 3));
  grid.columns = std::clamp<int64_t>(columns, 1, std::max<int64_t>(1, count));
  grid.rows = (count + grid.columns - 1) / grid.columns;
  grid.w = std::max(2 * kGap + grid.columns * grid.cell_w, letters_of(title) * 9 + 2 * kGap);
  grid.h = kTitle + grid.rows * grid.cell_h + kGap / 2;
  return grid;
}

// The mean of the pixels of the image [h,w,c] that become pixel (x, y) of its tile: fewer at the far side of a narrow
// image.
int pixel_of(const uint8_t* image, const Grid& grid, int64_t h, int64_t w, int64_t c, int64_t y, int64_t x,
             int64_t channel) {
  const int64_t top = y * grid.smaller / grid.larger, bottom = std::min(h, top + grid.smaller);
  const int64_t left = x * grid.smaller / grid.larger, right = std::min(w, left + grid.smaller);
  int64_t sum = 0;
  for (int64_t i = top; i < bottom; ++i) {
    for (int64_t j = left; j < right; ++j) sum += image[(i * w + j) * c + channel];
  }
  return static_cast<int>(sum / ((bottom - top) * (right - left)));
}

// The whole sheet without its letters, [h,w,3].
std::string raster_of(const Dataset& dataset, const std::vector<Tile>& tiles, const Grid& grid) {
  const int64_t h = dataset.images.size(1), w = dataset.images.size(2), c = dataset.images.size(3);
  std::string raster(static_cast<size_t>(grid.w * grid.h * 3), '\xff');
  for (size_t i = 0; i < tiles.size(); ++i) {
    const uint8_t* const image = dataset.images.data<uint8_t>() + tiles[i].image * h * w * c;
    for (int64_t y = 0; y < grid.tile_h; ++y) {
      for (int64_t x = 0; x < grid.tile_w; ++x) {
        char* const pixel = &raster[static_cast<size_t>(((grid.top(i) + y) * grid.w + grid.left(i) + x) * 3)];
        for (int64_t channel = 0; channel < 3; ++channel)
          pixel[channel] = static_cast<char>(pixel_of(image, grid, h, w, c, y, x, c == 1 ? 0 : channel));
      }
    }
  }
  return raster;
}

std::string script_of(const std::vector<Tile>& tiles, const Grid& grid, const std::string& title) {
  std::string labels =
      fmt::format("set label {} at {},{} left front font \",12\"\n", in_quotes(title), kGap, kTitle / 2);
  for (size_t i = 0; i < tiles.size(); ++i) {
    for (size_t line = 0; line < tiles[i].caption.size(); ++line)
      labels += fmt::format("set label {} at {},{} center front font \",9\"\n",
                            in_quotes(shortened(tiles[i].caption[line], kMostLetters)), grid.left(i) + grid.tile_w / 2,
                            grid.top(i) + grid.tile_h + kLine / 2 + 3 + static_cast<int64_t>(line) * kLine);
  }
  // Axes are pixels, from the upper left.
  return labels +
         fmt::format(
             "unset border\nunset tics\nunset key\nset lmargin at screen 0\nset rmargin at screen 1\n"
             "set bmargin at screen 0\nset tmargin at screen 1\nset xrange [-0.5:{}.5] noextend\n"
             "set yrange [{}.5:-0.5] noextend\nplot \"data\" binary array=({},{}) format=\"%uchar\" with rgbimage\n",
             grid.w - 1, grid.h - 1, grid.w, grid.h);
}

}  // namespace

Drawing contact_sheet(const Dataset& dataset, const std::vector<Tile>& tiles, int64_t columns,
                      const std::string& title) {
  const Grid grid = grid_of(dataset, tiles, columns, title);
  return {.w = grid.w, .h = grid.h, .script = script_of(tiles, grid, title), .data = raster_of(dataset, tiles, grid)};
}

}  // namespace convoy
