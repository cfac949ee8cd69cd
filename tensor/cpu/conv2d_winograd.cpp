// Winograd's convolution as 36 products per tile, one for each position of its transformed patch:
//
//   forward          M[e] [tiles, K]  = V[e] [tiles, C] * U[e] [C, K]       V from x, U from w; y from M
//   backward_input   the same with dy for x, and w mirrored and transposed
//   backward_weight  M[e] [K, C]     += W[e]^T [K, tiles] * V[e] [tiles, C]  W from dy, V from x; dw from M
//
// V, W and M never exist as a whole: forward takes a block of tiles through all three steps, and backward_weight sums
// over blocks of them. Every product is the tile of microkernel.h, and all sums run in an order that the shape alone
// decides.
#include "tensor/cpu/conv2d_winograd.h"

#include "tensor/cpu/blocked_product.h"
#include "tensor/cpu/lanes.h"

namespace convoy::CONVOY_ISA {
namespace {

using namespace winograd;
using Full = Lanes<kVectorFloats>;

// Calls body.operator()<Lane>(c) for runs of Lane::kWidth channels that together cover [begin, end).
template <class Body>
inline void for_lanes(int64_t begin, int64_t end, Body&& body) {
  int64_t c = begin;
  for (; c + kVectorFloats <= end; c += kVectorFloats) body.template operator()<Full>(c);
  for (; c + 4 <= end; c += 4) body.template operator()<Lanes<4>>(c);
  for (; c < end; ++c) body.template operator()<Lanes<1>>(c);
}

// An image cut into tiles of kTile x kTile pixels, the last of a line or column perhaps overhanging.
struct Tiles {
  int64_t n, h, w, channels;  // of the image
  int64_t tile_rows, tile_columns;

  Tiles(int64_t images, int64_t height, int64_t width, int64_t depth)
      : n(images),
        h(height),
        w(width),
        channels(depth),
        tile_rows(ceil_divide(height, kTile)),
        tile_columns(ceil_divide(width, kTile)) {}
  int64_t count() const { return n * tile_rows * tile_columns; }
};

struct TilePlace {
  int64_t image, row, column;  // row and column of its first pixel
};

inline TilePlace place_of(const Tiles& tiles, int64_t tile) {
  return {tile / tiles.tile_columns / tiles.tile_rows, tile / tiles.tile_columns % tiles.tile_rows * kTile,
          tile % tiles.tile_columns * kTile};
}

// Where the kSize x kSize pixels from (row, column) of an image lie; those outside it at `zeros`.
template <int kSize>
struct Pixels {
  const float* at[kSize][kSize];

  Pixels(const float* image, int64_t h, int64_t w, int64_t channels, int64_t row, int64_t column, const float* zeros) {
    for (int i = 0; i < kSize; ++i) {
      const bool inside = row + i >= 0 && row + i < h;
      for (int j = 0; j < kSize; ++j) {
        const bool there = inside && column + j >= 0 && column + j < w;
        at[i][j] = there ? image + ((row + i) * w + column + j) * channels : zeros;
      }
    }
  }
};

// The patches of tiles [first, first + count) of the result's grid, transformed: position e = 6 i + j of channels c…
// of tile t to `to(t, e, c)`.
template <class To>
inline void transform_patches(const Tiles& results, const float* x, int64_t h, int64_t w, int64_t channels,
                              int64_t pad_h, int64_t pad_w, int64_t first, int64_t count, const float* zeros, To&& to) {
  for (int64_t t = 0; t < count; ++t) {
    const TilePlace place = place_of(results, first + t);
    const Pixels<kPatch> patch(x + place.image * h * w * channels, h, w, channels, place.row - pad_h,
                               place.column - pad_w, zeros);
    for_lanes(0, channels, [&]<class Lane>(int64_t c) {
      using Value = typename Lane::Value;
      transform_both<kPatch, kPatch, Value>(
          [](auto&& in, auto&& out) __attribute__((always_inline)) { transform_image<Value>(in, out); },
          [&](int i, int j) { return Lane::load(patch.at[i][j] + c); },
          [&](int i, int j, const Value& value) { Lane::store(to(t, i * kPatch + j, c), value); });
    });
  }
}

// --- forward and backward_input ---------------------------------------------------------------------------------

// Transformed patches of a block of tiles as rows that multiply_tile() reads, kRowStride floats each. A row has room for
// several positions, or for a part of one whose channels are more than kMaxDepth.
struct PatchRows {
  int64_t tiles;   // in the block
  int64_t depth;   // channels of a part, a multiple of a vector
  int64_t parts;   // of a position
  int64_t in_row;  // parts

  PatchRows(int64_t block, int64_t channels)
      : tiles(block),
        depth(round_up(ceil_divide(channels, ceil_divide(channels, kMaxDepth)), kVectorFloats)),
        parts(ceil_divide(channels, depth)),
        in_row(kMaxDepth / depth) {}
  int64_t floats() const { return ceil_divide(kPositions * parts, in_row) * tiles * kRowStride; }
  int64_t at(int64_t position, int64_t part) const {
    const int64_t index = position * parts + part;
    return index / in_row * tiles * kRowStride + index % in_row * depth;
  }
};

// A convolution of x [n, h, w, depth] to y [n, tiles' h, tiles' w, columns].
struct WinogradProduct {
  const float* x;
  int64_t h, w, depth, pad_h, pad_w;
  const float* filters;  // transformed: panels of kTileColumns columns for each position, [depth][kTileColumns] each
  int64_t columns;
  Epilogue epilogue;
  bool accumulate;
  float* y;
  Tiles tiles;  // of y
};

inline constexpr int64_t kColumnBlock = 128;         // of results in one task
inline constexpr int64_t kBlockFloats = 192 * 1024;  // of a block's patches and products: 768 KiB, most of an L2 cache

// Tiles of a task. Fewer than two tiles of the micro-kernel would read the filters too often.
int64_t tiles_of_block(const WinogradProduct& p) {
  const int64_t floats = kPositions * (p.depth + smaller(p.columns, kColumnBlock));
  const int64_t most = larger(2, smaller(6, kBlockFloats / floats / kTileRows)) * kTileRows, all = p.tiles.count();
  return ceil_divide(all, ceil_divide(all, most));
}

// y at one tile and the columns of one vector, from its 36 products at `from`, `position_stride` floats apart.
template <class Lane>
inline void transform_result(const WinogradProduct& p, const TilePlace& place, int64_t column, const float* from,
                             int64_t position_stride) {
  using Value = typename Lane::Value;
  const int64_t rows = smaller(kTile, p.tiles.h - place.row), columns = smaller(kTile, p.tiles.w - place.column);
  float* const y = p.y + ((place.image * p.tiles.h + place.row) * p.tiles.w + place.column) * p.columns + column;
  const Value bias = p.epilogue.bias != nullptr ? Lane::load(p.epilogue.bias + column) : Value{};
  transform_both<kPatch, kTile, Value>(
      [](auto&& in, auto&& out) __attribute__((always_inline)) { transform_back<kTile, Value>(in, out); },
      [&](int i, int j) { return Lane::load(from + (i * kPatch + j) * position_stride); },
      [&](int i, int j, const Value& sum) {
        if (i >= rows || j >= columns) return;
        float* const to = y + (i * p.tiles.w + j) * p.columns;
        Value value = sum + bias;
        if (p.accumulate) value += Lane::load(to);
        if (p.epilogue.relu) value = value < Value{} ? Value{} : value;
        Lane::store(to, value);
      });
}

void run_winograd(const Stream& stream, const WinogradProduct& p) {
  if (p.tiles.count() == 0 || p.columns == 0) return;
  const int64_t block = tiles_of_block(p), column_parts = ceil_divide(p.columns, kColumnBlock);
  const int64_t panels = ceil_divide(p.columns, kTileColumns);
  const PatchRows rows(block, p.depth);
  parallel_for(stream, ceil_divide(p.tiles.count(), block) * column_parts, 1, [&](int64_t task, int64_t) {
    const int64_t first = task / column_parts * block, tiles = smaller(block, p.tiles.count() - first);
    const int64_t column_begin = task % column_parts * kColumnBlock,
                  columns = smaller(kColumnBlock, p.columns - column_begin);
    float* const patches = thread_scratch(Scratch::pack_a, rows.floats() + p.depth);
    float* const zeros = patches + rows.floats();
    zero_floats(zeros, p.depth);
    float* const products = thread_scratch(Scratch::pack_b, kPositions * block * kColumnBlock);

    int64_t offset[kPositions];  // of a position's first part
    for (int64_t e = 0; e < kPositions; ++e) offset[e] = rows.at(e, 0);
    if (rows.parts == 1) {
      transform_patches(p.tiles, p.x, p.h, p.w, p.depth, p.pad_h, p.pad_w, first, tiles, zeros,
                        [&](int64_t t, int64_t e, int64_t c) { return patches + offset[e] + t * kRowStride + c; });
    } else {
      transform_patches(p.tiles, p.x, p.h, p.w, p.depth, p.pad_h, p.pad_w, first, tiles, zeros,
                        [&](int64_t t, int64_t e, int64_t c) {
                          return patches + rows.at(e, c / rows.depth) + t * kRowStride + c % rows.depth;
                        });
    }

    int64_t row_offset[6 * kTileRows];
    for (int64_t t = 0; t < tiles; ++t) row_offset[t] = t * kColumnBlock;
    for (int64_t e = 0; e < kPositions; ++e) {
      for (int64_t j = 0; j < columns; j += kTileColumns) {
        const float* panel = p.filters + (e * panels + (column_begin + j) / kTileColumns) * p.depth * kTileColumns;
        const int64_t tile_columns = smaller(kTileColumns, columns - j);
        for (int64_t i = 0; i < tiles; i += kTileRows) {
          const TileFunction multiply =
              tile_function<Layout::rows>(smaller(kTileRows, tiles - i), ceil_divide(tile_columns, kVectorFloats));
          for (int64_t part = 0; part < rows.parts; ++part) {
            const int64_t step = part * rows.depth;
            multiply(smaller(rows.depth, p.depth - step), patches + rows.at(e, part) + i * kRowStride, 0,
                     panel + step * kTileColumns,
                     {.c = products + e * block * kColumnBlock + j,
                      .row_offset = row_offset + i,
                      .columns = static_cast<int>(tile_columns),
                      .accumulate = part > 0,
                      .bias = nullptr,
                      .relu = false});
          }
        }
      }
    }
    for (int64_t t = 0; t < tiles; ++t) {
      const TilePlace place = place_of(p.tiles, first + t);
      for_lanes(0, columns, [&]<class Lane>(int64_t j) {
        transform_result<Lane>(p, place, column_begin + j, products + t * kColumnBlock + j, block * kColumnBlock);
      });
    }
  });
}

// Filters of c channels transformed for forward: [position][panel of kTileColumns filters][c][kTileColumns].
const float* transformed_filters(const Stream& stream, const Conv2dShape& s, const float* w) {
  const int64_t panels = ceil_divide(s.k, kTileColumns), panel_floats = s.c * kTileColumns;
  float* const to = thread_scratch(Scratch::filters, kPositions * panels * panel_floats);
  parallel_for(stream, s.k, kTileColumns, [&](int64_t begin, int64_t end) {
    // First as rows of channels, [position][filter][c], as they lie in w.
    float* const rows = thread_scratch(Scratch::pack_a, kPositions * kTileColumns * s.c);
    for (int64_t k = begin; k < end; ++k) {
      for_lanes(0, s.c, [&]<class Lane>(int64_t c) {
        using Value = typename Lane::Value;
        transform_both<3, kPatch, Value>(
            [](auto&& in, auto&& out) __attribute__((always_inline)) { transform_filter<Value>(in, out); },
            [&](int r, int t) { return Lane::load(w + ((k * 3 + r) * 3 + t) * s.c + c); },
            [&](int i, int j, const Value& value) {
              Lane::store(rows + ((i * kPatch + j) * kTileColumns + k - begin) * s.c + c, value);
            });
      });
    }
    for (int64_t e = 0; e < kPositions; ++e)
      pack_panels_transposed(rows + e * kTileColumns * s.c, s.c, s.c, end - begin,
                             to + (e * panels + begin / kTileColumns) * panel_floats, panel_floats);
  });
  return to;
}

// … and mirrored for backward_input: [position][panel of kTileColumns channels][k][kTileColumns].
const float* mirrored_filters(const Stream& stream, const Conv2dShape& s, const float* w) {
  const int64_t panels = ceil_divide(s.c, kTileColumns), panel_floats = s.k * kTileColumns;
  float* const to = thread_scratch(Scratch::filters, kPositions * panels * panel_floats);
  parallel_for(stream, s.k, 4, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      for_lanes(0, s.c, [&]<class Lane>(int64_t c) {
        using Value = typename Lane::Value;
        float* const panel = to + c / kTileColumns * panel_floats + k * kTileColumns + c % kTileColumns;
        transform_both<3, kPatch, Value>(
            [](auto&& in, auto&& out) __attribute__((always_inline)) { transform_filter<Value>(in, out); },
            [&](int r, int t) { return Lane::load(w + ((k * 3 + 2 - r) * 3 + 2 - t) * s.c + c); },
            [&](int i, int j, const Value& value) {
              Lane::store(panel + (i * kPatch + j) * panels * panel_floats, value);
            });
      });
    }
  });
  return to;
}

// --- backward_weight --------------------------------------------------------------------------------------------

// The tiles that are summed at once: transformed x and dy of a block, and where the products go.
struct WeightBlock {
  int64_t tiles;     // at most
  int64_t k_stride;  // floats from tile to tile of the transformed dy; no power of two, which caches dislike
  int64_t panels;    // of channels
  float* gradients;  // [position][tiles][k_stride]
  float* patches;    // [position][panel][tiles][kTileColumns]
  float* products;   // [position][k][c]
};

inline constexpr int64_t kWeightBlockFloats = 1536 * 1024;  // of patches and gradients: 6 MiB, in a shared L3 cache
inline constexpr int64_t kTilesOfTask = 8;

void transform_gradients(const Conv2dShape& s, const Tiles& tiles, const float* dy, int64_t first, int64_t begin,
                         int64_t end, const float* zeros, const WeightBlock& block) {
  for (int64_t t = begin; t < end; ++t) {
    const TilePlace place = place_of(tiles, first + t);
    const Pixels<kTile> tile(dy + place.image * tiles.h * tiles.w * s.k, tiles.h, tiles.w, s.k, place.row, place.column,
                             zeros);
    for_lanes(0, s.k, [&]<class Lane>(int64_t k) {
      using Value = typename Lane::Value;
      transform_both<kTile, kPatch, Value>(
          [](auto&& in, auto&& out) __attribute__((always_inline)) { transform_gradient<Value>(in, out); },
          [&](int i, int j) { return Lane::load(tile.at[i][j] + k); },
          [&](int i, int j, const Value& value) {
            Lane::store(block.gradients + ((i * kPatch + j) * block.tiles + t) * block.k_stride + k, value);
          });
    });
  }
}

// products += gradients^T * patches, over `tiles` tiles.
void multiply_weight_block(const Stream& stream, const Conv2dShape& s, const WeightBlock& block, int64_t tiles,
                           bool first) {
  const int64_t row_parts = ceil_divide(s.k, kMaxRows);
  parallel_for(stream, kPositions * row_parts, 1, [&](int64_t task, int64_t) {
    const int64_t e = task / row_parts, k_begin = task % row_parts * kMaxRows, k_end = smaller(k_begin + kMaxRows, s.k);
    int64_t row_offset[kMaxRows];
    for (int64_t k = k_begin; k < k_end; ++k) row_offset[k - k_begin] = k * s.c;
    for (int64_t c = 0; c < s.c; c += kTileColumns) {
      const float* const panel = block.patches + (e * block.panels + c / kTileColumns) * block.tiles * kTileColumns;
      const int64_t columns = smaller(kTileColumns, s.c - c);
      for (int64_t k = k_begin; k < k_end; k += kTileRows) {
        tile_function<Layout::columns>(smaller(kTileRows, k_end - k), ceil_divide(columns, kVectorFloats))(
            tiles, block.gradients + e * block.tiles * block.k_stride + k, block.k_stride, panel,
            {.c = block.products + e * s.k * s.c + c,
             .row_offset = row_offset + (k - k_begin),
             .columns = static_cast<int>(columns),
             .accumulate = !first,
             .bias = nullptr,
             .relu = false});
      }
    }
  });
}

}  // namespace

bool winograd_wanted(const Stream& stream, const Conv2dShape& s) {
  const bool possible = s.r == 3 && s.s == 3 && s.stride_h == 1 && s.stride_w == 1 && s.c > 0 && s.k > 0;
  if (!possible || stream.convolution == ConvolutionAlgorithm::gemm) return false;
  if (stream.convolution == ConvolutionAlgorithm::winograd) return true;
  // Below 16 channels the transforms take longer than what they save; overhanging tiles compute what nobody wants.
  const Tiles tiles(1, s.p(), s.q(), s.k);
  return s.c >= 16 && s.k >= 16 && 9 * s.p() * s.q() >= 2 * kPositions * tiles.count();
}

void winograd_forward(const Stream& stream, const Conv2dShape& s, const float* x, const float* w,
                      const Epilogue& epilogue, float* y) {
  run_winograd(stream, {.x = x,
                        .h = s.h,
                        .w = s.w,
                        .depth = s.c,
                        .pad_h = s.pad_h,
                        .pad_w = s.pad_w,
                        .filters = transformed_filters(stream, s, w),
                        .columns = s.k,
                        .epilogue = epilogue,
                        .accumulate = false,
                        .y = y,
                        .tiles = Tiles(s.n, s.p(), s.q(), s.k)});
}

void winograd_backward_input(const Stream& stream, const Conv2dShape& s, const float* dy, const float* w,
                             bool accumulate, float* dx) {
  run_winograd(stream, {.x = dy,
                        .h = s.p(),
                        .w = s.q(),
                        .depth = s.k,
                        .pad_h = 2 - s.pad_h,
                        .pad_w = 2 - s.pad_w,
                        .filters = mirrored_filters(stream, s, w),
                        .columns = s.c,
                        .epilogue = {},
                        .accumulate = accumulate,
                        .y = dx,
                        .tiles = Tiles(s.n, s.h, s.w, s.c)});
}

void winograd_backward_weight(const Stream& stream, const Conv2dShape& s, const float* x, const float* dy,
                              bool accumulate, float* dw) {
  const Tiles tiles(s.n, s.p(), s.q(), s.k);
  WeightBlock block{};
  const int64_t most = larger(1, kWeightBlockFloats / (kPositions * larger(s.c + s.k, 1)));
  block.tiles = larger(1, ceil_divide(tiles.count(), larger(1, ceil_divide(tiles.count(), most))));
  block.k_stride = s.k + 16;
  block.panels = ceil_divide(s.c, kTileColumns);
  const int64_t gradient_floats = kPositions * block.tiles * block.k_stride;
  block.gradients =
      thread_scratch(Scratch::filters, gradient_floats + kPositions * block.panels * block.tiles * kTileColumns);
  block.patches = block.gradients + gradient_floats;
  block.products = thread_scratch(Scratch::partial, kPositions * s.k * s.c);

  if (tiles.count() == 0) zero_floats(block.products, kPositions * s.k * s.c);
  for (int64_t first = 0; first < tiles.count(); first += block.tiles) {
    const int64_t count = smaller(block.tiles, tiles.count() - first);
    parallel_for(stream, count, kTilesOfTask, [&](int64_t begin, int64_t end) {
      const int64_t most_channels = larger(s.c, s.k);
      float* const zeros = thread_scratch(Scratch::pack_b, most_channels);
      zero_floats(zeros, most_channels);
      transform_patches(tiles, x, s.h, s.w, s.c, s.pad_h, s.pad_w, first + begin, end - begin, zeros,
                        [&](int64_t t, int64_t e, int64_t c) {
                          const int64_t panel = e * block.panels + c / kTileColumns;
                          return block.patches + (panel * block.tiles + begin + t) * kTileColumns + c % kTileColumns;
                        });
      transform_gradients(s, tiles, dy, first, begin, end, zeros, block);
    });
    multiply_weight_block(stream, s, block, count, first == 0);
  }

  parallel_for(stream, s.k, 4, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      for_lanes(0, s.c, [&]<class Lane>(int64_t c) {
        using Value = typename Lane::Value;
        transform_both<kPatch, 3, Value>(
            [](auto&& in, auto&& out) __attribute__((always_inline)) { transform_back<3, Value>(in, out); },
            [&](int i, int j) { return Lane::load(block.products + ((i * kPatch + j) * s.k + k) * s.c + c); },
            [&](int r, int t, const Value& sum) {
              float* const to = dw + ((k * 3 + r) * 3 + t) * s.c + c;
              Lane::store(to, accumulate ? sum + Lane::load(to) : sum);
            });
      });
    }
  });
}

}  // namespace convoy::CONVOY_ISA
