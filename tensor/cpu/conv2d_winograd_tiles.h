// What Winograd's kernels share: images cut into tiles, and the transformed patches that the tiles see.
#pragma once

#include <span>

#include "tensor/cpu/blocked_product.h"
#include "tensor/cpu/conv2d_winograd.h"
#include "tensor/cpu/lanes.h"

namespace convoy::CONVOY_ISA::winograd {

// What a block of tiles keeps: 768 KiB, most of a second-level cache.
inline constexpr int64_t kBlockFloats = 192 * 1024;

// The results of a convolution, n images of h x w pixels, cut into tiles of kTile x kTile; the last of a line or column
// may overhang.
struct Tiles {
  int64_t n, h, w;

  int64_t rows() const { return ceil_divide(h, kTile); }
  int64_t columns() const { return ceil_divide(w, kTile); }
  int64_t count() const { return n * rows() * columns(); }
};

// The first pixel of a tile.
struct TilePlace {
  int64_t image, row, column;

  TilePlace(const Tiles& tiles, int64_t tile)
      : image(tile / tiles.columns() / tiles.rows()),
        row(tile / tiles.columns() % tiles.rows() * kTile),
        column(tile % tiles.columns() * kTile) {}
};

struct Image {
  const float* pixels;  // [n, h, w, channels]
  int64_t h, w, channels;
};

// Where kSize x kSize pixels from (row, column) of one image lie; those outside it at `zeros`, `channels` zeros.
template <int kSize>
struct Pixels {
  const float* at[kSize][kSize];

  Pixels(const Image& x, int64_t image, int64_t row, int64_t column, const float* zeros) {
    const float* const first = x.pixels + image * x.h * x.w * x.channels;
    for (int i = 0; i < kSize; ++i) {
      for (int j = 0; j < kSize; ++j) {
        const int64_t h = row + i, w = column + j;
        const bool inside = h >= 0 && h < x.h && w >= 0 && w < x.w;
        at[i][j] = inside ? first + (h * x.w + w) * x.channels : zeros;
      }
    }
  }
};

// The patch that a tile sees of x, channels [begin, end), transformed: position e = 6 i + j of channels c… goes to `to(e, c)`.
template <class To>
inline void transform_patch(const Image& x, const TilePlace& place, int64_t pad_h, int64_t pad_w, int64_t begin,
                            int64_t end, const float* zeros, To&& to) {
  const Pixels<kPatch> patch(x, place.image, place.row - pad_h, place.column - pad_w, zeros);
  for_lanes(begin, end, [&]<class Lane>(int64_t c) {
    using Value = typename Lane::Value;
    transform_both<kPatch, kPatch, Value>(
        [](auto&& in, auto&& out) __attribute__((always_inline)) { transform_image<Value>(in, out); },
        [&](int i, int j) { return Lane::load(patch.at[i][j] + c); },
        [&](int i, int j, const Value& value) { Lane::store(to(i * kPatch + j, c), value); });
  });
}

// The lines of pixels that tiles [first, end) have parts of: they follow each other. Nothing for no tiles.
inline std::span<const float> lines_of_tiles(const Tiles& tiles, int64_t first, int64_t end, const Image& images) {
  if (first >= end) return {};
  const TilePlace from(tiles, first), to(tiles, end - 1);
  const int64_t begin = from.image * images.h + smaller(from.row, images.h),
                lines = to.image * images.h + smaller(to.row + kTile, images.h) - begin;
  return {images.pixels + begin * images.w * images.channels, static_cast<size_t>(lines * images.w * images.channels)};
}

// Memory to be asked for, in equal parts.
class Prefetched {
 public:
  Prefetched(std::span<const float> memory, int64_t parts)
      : at_(memory.data()), floats_(ceil_divide(static_cast<int64_t>(memory.size()), parts)) {}
  int64_t floats() const { return floats_; }  // of a part
  const float* take(int64_t parts) {
    const float* const part = at_;
    at_ += parts * floats_;
    return part;
  }

 private:
  const float* at_;
  int64_t floats_;
};

}  // namespace convoy::CONVOY_ISA::winograd
