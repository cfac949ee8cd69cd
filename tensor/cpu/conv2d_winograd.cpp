// Winograd's convolution, forward and backward_input, as 36 products per tile, one for each position of its transformed
// patch:
//
//   forward          M[e] [tiles, K] = V[e] [tiles, C] * U[e] [C, K]       V from x, U from w; y from M
//   backward_input   the same with dy for x, and w mirrored and transposed
//
// V and M never exist as a whole: each task takes a block of tiles through all three steps, in its core's cache. Every
// product is the tile of microkernel.h, and all sums run in an order that the shape alone decides.
#include "tensor/cpu/conv2d_winograd.h"

#include "tensor/cpu/conv2d_winograd_tiles.h"

namespace convoy::CONVOY_ISA {
namespace {

using namespace winograd;

// Transformed patches of a block of tiles as rows that multiply_tile() reads, kRowStride floats each. A row has room for
// several positions, or for a part of one whose channels are more than kMaxDepth.
struct PatchRows {
  int64_t tiles;   // in the block
  int64_t depth;   // channels of a part, a multiple of a vector
  int64_t parts;   // of a position
  int64_t in_row;  // parts

  PatchRows(int64_t block, int64_t channels)
      : tiles(block),
        depth(round_up(even_part(channels, kMaxDepth), kVectorFloats)),
        parts(ceil_divide(channels, depth)),
        in_row(kMaxDepth / depth) {}
  int64_t floats() const { return ceil_divide(kPositions * parts, in_row) * tiles * kRowStride; }
  int64_t at(int64_t position, int64_t part) const {
    const int64_t index = position * parts + part;
    return index / in_row * tiles * kRowStride + index % in_row * depth;
  }
};

// A convolution of x to y [n, tiles.h, tiles.w, columns].
struct WinogradProduct {
  Image x;
  int64_t pad_h, pad_w;
  Tiles tiles;
  float* y;
  int64_t columns;
  Epilogue epilogue;
  bool accumulate;

  int64_t panel_floats() const { return x.channels * kTileColumns; }
  int64_t panels() const { return ceil_divide(columns, kTileColumns); }
};

// Transformed filters, [x.channels][kTileColumns] for each panel of columns: those of column 0, position e, lie at
// first + e * position_stride.
struct FilterPanels {
  const float* first;
  int64_t position_stride;
};

// Of so many floats for each position: all positions are written at once and must not compete for the same cache sets.
inline int64_t gapped(int64_t floats) { return floats + kPanelGap; }

inline constexpr int64_t kColumnBlock = 128;  // of results in one task
inline constexpr int64_t kFewTiles = 128;

// Tiles of a block, whose patches and products are kept. Fewer than two tiles of the micro-kernel would read the filters too often.
// Where they are few, blocks are even in number, so that two threads have the same to do.
int64_t tiles_of_block(const WinogradProduct& p) {
  const int64_t floats = kPositions * (p.x.channels + smaller(p.columns, kColumnBlock));
  const int64_t most = larger(2, smaller(6, kBlockFloats / floats / kTileRows)) * kTileRows;
  constexpr int64_t kFewBlocks = 32;
  const int64_t blocks = ceil_divide(p.tiles.count(), most);
  return ceil_divide(p.tiles.count(), larger(1, blocks < kFewBlocks ? blocks + blocks % 2 : blocks));
}

// Results of a task: tiles [first, first + tiles), columns [column, column + columns).
struct Block {
  int64_t first, tiles, column, columns;

  // Of their products, [position][tile][column].
  int64_t row_floats() const { return round_up(columns, kTileColumns); }
  int64_t position_floats() const { return gapped(tiles * row_floats()); }
};

[[gnu::noinline]] void transform_patches(const WinogradProduct& p, const PatchRows& rows, const Block& block,
                                         float* patches) {
  float* const zeros = patches + rows.floats();
  zero_floats(zeros, p.x.channels);
  for (int64_t part = 0; part < rows.parts; ++part) {
    const int64_t begin = part * rows.depth, end = smaller(begin + rows.depth, p.x.channels);
    int64_t at[kPositions];  // which takes a division: not for every vector
    for (int e = 0; e < kPositions; ++e) at[e] = rows.at(e, part) - begin;
    for (int64_t t = 0; t < block.tiles; ++t) {
      float* const row = patches + t * kRowStride;
      transform_patch(p.x, TilePlace(p.tiles, block.first + t), p.pad_h, p.pad_w, begin, end, zeros,
                      [&](int e, int64_t c) { return row + at[e] + c; });
    }
  }
}

[[gnu::noinline]] void multiply_positions(const WinogradProduct& p, const PatchRows& rows, const Block& block,
                                          const float* patches, const FilterPanels& filters, float* products) {
  const int64_t tile_rows = even_part(block.tiles, kTileRows);
  int64_t row_offset[kTileRows];
  for (int64_t t = 0; t < tile_rows; ++t) row_offset[t] = t * block.row_floats();
  // Memory brings meanwhile, first, the image for the block that this thread likely takes next, then the lines of the results. Not
  // where the next block has other columns of the same tiles, nor where pixels are written in parts.
  const bool has_all = block.columns == p.columns, has_last = block.column + block.columns == p.columns;
  const int64_t end = block.first + block.tiles,
                next_end = has_last ? smaller(end + block.tiles, p.tiles.count()) : end;
  const int64_t half =
      kPositions / 2 * rows.parts * ceil_divide(block.columns, kTileColumns) * ceil_divide(block.tiles, tile_rows);
  Prefetched image(lines_of_tiles(p.tiles, end, next_end, p.x), half),
      results(lines_of_tiles(p.tiles, has_all ? block.first : end, end, {p.y, p.tiles.h, p.tiles.w, p.columns}), half);
  for (int64_t e = 0; e < kPositions; ++e) {
    Prefetched& ahead = e < kPositions / 2 ? image : results;
    for (int64_t j = 0; j < block.columns; j += kTileColumns) {
      const float* const panel = filters.first + e * filters.position_stride + j / kTileColumns * p.panel_floats();
      const int64_t columns = smaller(kTileColumns, block.columns - j);
      for (int64_t part = 0; part < rows.parts; ++part) {
        const int64_t step = part * rows.depth;
        const float* const rows_of_part = patches + rows.at(e, part);
        for (int64_t t = 0; t < block.tiles;) {  // those of whole micro-tiles, then the rest
          const int64_t micro_tiles_here = larger(1, (block.tiles - t) / tile_rows);
          tile_function<Layout::rows>(smaller(tile_rows, block.tiles - t), ceil_divide(columns, kVectorFloats))(
              {.depth = smaller(rows.depth, p.x.channels - step),
               .a = rows_of_part + t * kRowStride,
               .a_stride = 0,
               .b = panel + step * kTileColumns,
               .tiles = micro_tiles_here,
               .tile_stride = tile_rows * kRowStride,
               .ahead = ahead.take(micro_tiles_here),
               .ahead_floats = ahead.floats()},
              {.c = products + e * block.position_floats() + t * block.row_floats() + j,
               .tile_stride = tile_rows * block.row_floats(),
               .row_offset = row_offset,
               .columns = static_cast<int>(columns),
               .accumulate = part > 0,
               .bias = nullptr,
               .relu = false});
          t += micro_tiles_here * tile_rows;
        }
      }
    }
  }
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
        if (p.epilogue.relu) value = relu(value);
        Lane::store(to, value);
      });
}

[[gnu::noinline]] void transform_results(const WinogradProduct& p, const Block& block, const float* products) {
  for (int64_t t = 0; t < block.tiles; ++t) {
    const TilePlace place(p.tiles, block.first + t);
    for_lanes(0, block.columns, [&]<class Lane>(int64_t j) {
      transform_result<Lane>(p, place, block.column + j, products + t * block.row_floats() + j,
                             block.position_floats());
    });
  }
}

// All three steps; `filters` are those of the block's columns.
void run_block(const WinogradProduct& p, const PatchRows& rows, const Block& block, const FilterPanels& filters) {
  float* const patches = thread_scratch(Scratch::pack_a, rows.floats() + p.x.channels);
  float* const products = thread_scratch(Scratch::pack_b, kPositions * block.position_floats());
  transform_patches(p, rows, block, patches);
  multiply_positions(p, rows, block, patches, filters, products);
  transform_results(p, block, products);
}

// `fill(panel, to, position_stride)` transforms the filters of one panel of columns.
template <class Fill>
void run_winograd(const Stream& stream, const WinogradProduct& p, Fill&& fill) {
  const int64_t all = p.tiles.count(), block = tiles_of_block(p), panels = p.panels();
  if (all == 0 || p.columns == 0) return;
  const PatchRows rows(block, p.x.channels);
  if (all <= kFewTiles) {
    // The filters are what is large. Each task transforms some, and takes all tiles through them while they are in its
    // cache; patches are transformed once in each task.
    const int64_t columns_of_task = 2 * kTileColumns;
    parallel_for(stream, p.columns, columns_of_task, [&](int64_t begin, int64_t end) {
      const int64_t stride = gapped(2 * p.panel_floats());
      float* const filters = thread_scratch(Scratch::filters, kPositions * stride);
      for (int64_t column = begin; column < end; column += kTileColumns)
        fill(column / kTileColumns, filters + (column - begin) / kTileColumns * p.panel_floats(), stride);
      for (int64_t first = 0; first < all; first += block)
        run_block(p, rows, {first, smaller(block, all - first), begin, end - begin}, {filters, stride});
    });
    return;
  }
  const int64_t stride = gapped(panels * p.panel_floats());
  float* const filters = thread_scratch(Scratch::filters, kPositions * stride);
  parallel_for(stream, panels, 1,
               [&](int64_t panel, int64_t) { fill(panel, filters + panel * p.panel_floats(), stride); });
  const int64_t column_parts = ceil_divide(p.columns, kColumnBlock);
  parallel_for(stream, ceil_divide(all, block) * column_parts, 1, [&](int64_t task, int64_t) {
    const int64_t first = task / column_parts * block, column = task % column_parts * kColumnBlock;
    run_block(p, rows, {first, smaller(block, all - first), column, smaller(kColumnBlock, p.columns - column)},
              {filters + column / kTileColumns * p.panel_floats(), stride});
  });
}

// The 36 positions, at `to(e)`, of filters side by side whose 9 taps are at `from(tap)`.
template <class Lane, class From, class To>
inline void transform_filter_lanes(From&& from, To&& to) {
  using Value = typename Lane::Value;
  transform_both<3, kPatch, Value>(
      [](auto&& in, auto&& out) __attribute__((always_inline)) { transform_filter<Value>(in, out); },
      [&](int i, int j) { return Lane::load(from(3 * i + j)); },
      [&](int i, int j, const Value& value) { Lane::store(to(i * kPatch + j), value); });
}

}  // namespace

void winograd_forward(const Stream& stream, const Conv2dShape& s, const float* x, const float* w,
                      const Epilogue& epilogue, float* y) {
  const WinogradProduct product{.x = {x, s.h, s.w, s.c},
                                .pad_h = s.pad_h,
                                .pad_w = s.pad_w,
                                .tiles = {s.n, s.p(), s.q()},
                                .y = y,
                                .columns = s.k,
                                .epilogue = epilogue,
                                .accumulate = false};
  run_winograd(stream, product, [&](int64_t panel, float* to, int64_t position_stride) {
    // As columns of filters, [tap][c][kTileColumns].
    const int64_t begin = panel * kTileColumns, taps = 9 * s.c;
    float* const columns = thread_scratch(Scratch::pack_a, taps * kTileColumns);
    pack_panels_transposed(w + begin * taps, taps, taps, smaller(kTileColumns, s.k - begin), columns, 0);
    for (int64_t i = 0; i < s.c * kTileColumns; i += kVectorFloats) {
      transform_filter_lanes<Lanes<kVectorFloats>>([&](int tap) { return columns + tap * s.c * kTileColumns + i; },
                                                   [&](int e) { return to + e * position_stride + i; });
    }
  });
}

void winograd_backward_input(const Stream& stream, const Conv2dShape& s, const float* dy, const float* w,
                             bool accumulate, float* dx) {
  const WinogradProduct product{.x = {dy, s.p(), s.q(), s.k},
                                .pad_h = 2 - s.pad_h,
                                .pad_w = 2 - s.pad_w,
                                .tiles = {s.n, s.h, s.w},
                                .y = dx,
                                .columns = s.c,
                                .epilogue = {},
                                .accumulate = accumulate};
  run_winograd(stream, product, [&](int64_t panel, float* to, int64_t position_stride) {
    const int64_t begin = panel * kTileColumns, end = smaller(begin + kTileColumns, s.c);
    for (int64_t k = 0; k < s.k; ++k) {
      for (int64_t tap = 0; tap < 9; ++tap) prefetch(w + ((k + kRowsAhead) * 9 + tap) * s.c + begin, end - begin);
      for_lanes(begin, end, [&]<class Lane>(int64_t c) {
        transform_filter_lanes<Lane>([&](int tap) { return w + (k * 9 + 8 - tap) * s.c + c; },
                                     [&](int e) { return to + e * position_stride + k * kTileColumns + (c - begin); });
      });
    }
  });
}

}  // namespace convoy::CONVOY_ISA
