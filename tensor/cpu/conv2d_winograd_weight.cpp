// Winograd's convolution, backward_weight, by F(3x3, 4x4): a filter's gradient is a convolution, too, of x with dy, whose
// tiles are its filters.
//
//   M[e] [K, C] = sum over tiles of  W[e]^T [K, tiles] * V[e] [tiles, C]       W from dy, V from x; dw from M
//
// A task has some of the filters, some of the channels and a piece of the tiles, and keeps to itself: patches, gradients
// and sums stay in its core's cache. The pieces are added up in order.
#include "tensor/cpu/conv2d_winograd_tiles.h"

namespace convoy::CONVOY_ISA {
namespace {

using namespace winograd;

inline constexpr int64_t kFilterBlock = 64, kChannelBlock = 128;  // of a task
inline constexpr int64_t kTasks = 8;
inline constexpr int64_t kTilesOfPiece = 256;  // with fewer, writing and adding up its sums would take too long

// How the work is cut, by the shape alone.
struct Cut {
  int64_t filters, channels;  // of a task
  int64_t filter_parts, channel_parts;
  int64_t piece, pieces;  // tiles of a task
  int64_t block;          // tiles whose patches and gradients are kept

  explicit Cut(const Conv2dShape& s)
      : filters(even_part(s.k, kFilterBlock)),
        channels(round_up(even_part(s.c, kChannelBlock), kTileColumns)),
        filter_parts(ceil_divide(s.k, filters)),
        channel_parts(ceil_divide(s.c, channels)) {
    const int64_t tiles = Tiles{s.n, s.p(), s.q()}.count();
    const int64_t most_pieces = larger(1, tiles / kTilesOfPiece);
    if (filter_parts * channel_parts * most_pieces < kTasks / 2) {  // rather transform patches twice
      filters = even_part(s.k, kFilterBlock / 2);
      filter_parts = ceil_divide(s.k, filters);
    }
    pieces = smaller(most_pieces, ceil_divide(kTasks, filter_parts * channel_parts));
    piece = larger(1, ceil_divide(tiles, pieces));
    pieces = larger(1, ceil_divide(tiles, piece));
    block = even_part(piece, larger(2 * kTileRows, smaller(64, kBlockFloats / (kPositions * (filters + channels)))));
  }
  int64_t sum_floats() const { return kPositions * filters * channels; }  // of a task
  // Floats from tile to tile of the gradients: no power of two, at which they would compete for the same cache sets.
  int64_t gradient_stride() const { return filters + kPanelGap; }
};

// What a task computes.
struct Part {
  int64_t k, k_end, c, c_end, tile, tile_end;

  Part(const Conv2dShape& s, const Cut& cut, int64_t task)
      : k(task / cut.channel_parts % cut.filter_parts * cut.filters),
        k_end(smaller(k + cut.filters, s.k)),
        c(task % cut.channel_parts * cut.channels),
        c_end(smaller(c + cut.channels, s.c)),
        tile(task / cut.channel_parts / cut.filter_parts * cut.piece),
        tile_end(smaller(tile + cut.piece, Tiles{s.n, s.p(), s.q()}.count())) {}
};

// Tiles [first, first + count), transformed: patches of x as panels [position][panel][cut.block][kTileColumns] of the part's channels,
// gradients as columns [position][cut.block][cut.gradient_stride()] of its filters.
[[gnu::noinline]] void transform_patches(const Conv2dShape& s, const Cut& cut, const Part& part, int64_t first,
                                         int64_t count, const float* x, const float* zeros, float* patches) {
  const Tiles tiles{s.n, s.p(), s.q()};
  const int64_t c_begin = part.c, panel_floats = cut.block * kTileColumns,
                position_floats = ceil_divide(part.c_end - part.c, kTileColumns) * panel_floats;
  for (int64_t t = 0; t < count; ++t) {
    float* const to = patches + t * kTileColumns;
    transform_patch({x, s.h, s.w, s.c}, TilePlace(tiles, first + t), s.pad_h, s.pad_w, part.c, part.c_end, zeros,
                    [=](int e, int64_t c) {
                      const int64_t column = c - c_begin;
                      return to + e * position_floats + column / kTileColumns * panel_floats + column % kTileColumns;
                    });
  }
}

[[gnu::noinline]] void transform_gradients(const Conv2dShape& s, const Cut& cut, const Part& part, int64_t first,
                                           int64_t count, const float* dy, const float* zeros, float* gradients) {
  const Tiles tiles{s.n, s.p(), s.q()};
  const int64_t k_begin = part.k, position_floats = cut.block * cut.gradient_stride();
  for (int64_t t = 0; t < count; ++t) {
    const TilePlace place(tiles, first + t);
    const Pixels<kTile> tile({dy, s.p(), s.q(), s.k}, place.image, place.row, place.column, zeros);
    float* const to = gradients + t * cut.gradient_stride();
    for_lanes(part.k, part.k_end, [&tile, to, k_begin, position_floats]<class Lane>(int64_t k) {
      using Value = typename Lane::Value;
      transform_both<kTile, kPatch, Value>(
          [](auto&& in, auto&& out) __attribute__((always_inline)) { transform_gradient<Value>(in, out); },
          [&](int i, int j) { return Lane::load(tile.at[i][j] + k); },
          [&](int i, int j, const Value& value) {
            Lane::store(to + (i * kPatch + j) * position_floats + (k - k_begin), value);
          });
    });
  }
}

// sums [position][cut.filters][cut.channels] = the products of the part's tiles.
void sum_part(const Conv2dShape& s, const Cut& cut, const Part& part, const float* x, const float* dy, float* sums) {
  const int64_t k_stride = cut.gradient_stride(), panels = ceil_divide(part.c_end - part.c, kTileColumns);
  const int64_t channels = larger(s.c, s.k);
  float* const gradients = thread_scratch(Scratch::pack_a, kPositions * cut.block * k_stride + channels);
  float* const zeros = gradients + kPositions * cut.block * k_stride;
  float* const patches = thread_scratch(Scratch::pack_b, kPositions * panels * cut.block * kTileColumns);
  zero_floats(zeros, channels);
  if (part.tile >= part.tile_end) zero_floats(sums, cut.sum_floats());

  const Tiles tiles{s.n, s.p(), s.q()};
  const int64_t tile_rows = even_part(part.k_end - part.k, kTileRows);
  int64_t row_offset[kFilterBlock];
  for (int64_t k = 0; k < part.k_end - part.k; ++k) row_offset[k] = k * cut.channels;
  for (int64_t first = part.tile; first < part.tile_end; first += cut.block) {
    const int64_t count = smaller(cut.block, part.tile_end - first);
    transform_patches(s, cut, part, first, count, x, zeros, patches);
    transform_gradients(s, cut, part, first, count, dy, zeros, gradients);
    // Memory brings the next block's lines meanwhile, where the part wants whole ones.
    const int64_t next = first + count, next_end = smaller(next + cut.block, part.tile_end),
                  half = kPositions / 2 * panels * ceil_divide(part.k_end - part.k, tile_rows);
    Prefetched image(lines_of_tiles(tiles, next, cut.channel_parts == 1 ? next_end : next, {x, s.h, s.w, s.c}), half),
        gradient(lines_of_tiles(tiles, next, cut.filter_parts == 1 ? next_end : next, {dy, s.p(), s.q(), s.k}), half);
    for (int64_t e = 0; e < kPositions; ++e) {
      Prefetched& ahead = e < kPositions / 2 ? image : gradient;
      for (int64_t panel = 0; panel < panels; ++panel) {
        const int64_t columns = smaller(kTileColumns, part.c_end - part.c - panel * kTileColumns);
        for (int64_t k = 0; k < part.k_end - part.k; k += tile_rows) {
          tile_function<Layout::columns>(smaller(tile_rows, part.k_end - part.k - k),
                                         ceil_divide(columns, kVectorFloats))(
              {.depth = count,
               .a = gradients + e * cut.block * k_stride + k,
               .a_stride = k_stride,
               .b = patches + (e * panels + panel) * cut.block * kTileColumns,
               .ahead = ahead.take(1),
               .ahead_floats = ahead.floats()},
              {.c = sums + (e * cut.filters + k) * cut.channels + panel * kTileColumns,
               .row_offset = row_offset,
               .columns = static_cast<int>(columns),
               .accumulate = first > part.tile,
               .bias = nullptr,
               .relu = false});
        }
      }
    }
  }
}

// dw of the part's filters [k, k_end) and channels = or += from the sums of its pieces, `stride` floats apart.
void finish_part(const Conv2dShape& s, const Cut& cut, const Part& part, int64_t k_begin, int64_t k_end,
                 const float* sums, int64_t stride, bool accumulate, float* dw) {
  for (int64_t k = k_begin; k < k_end; ++k) {
    for_lanes(part.c, part.c_end, [&]<class Lane>(int64_t c) {
      using Value = typename Lane::Value;
      transform_both<kPatch, 3, Value>(
          [](auto&& in, auto&& out) __attribute__((always_inline)) { transform_back<3, Value>(in, out); },
          [&](int i, int j) {
            const float* from = sums + ((i * kPatch + j) * cut.filters + k - part.k) * cut.channels + c - part.c;
            Value sum = Lane::load(from);
            for (int64_t piece = 1; piece < cut.pieces; ++piece) sum += Lane::load(from + piece * stride);
            return sum;
          },
          [&](int r, int t, const Value& sum) {
            float* const to = dw + ((k * 3 + r) * 3 + t) * s.c + c;
            Lane::store(to, accumulate ? sum + Lane::load(to) : sum);
          });
    });
  }
}

}  // namespace

void winograd_backward_weight(const Stream& stream, const Conv2dShape& s, const float* x, const float* dy,
                              bool accumulate, float* dw) {
  const Cut cut(s);
  const int64_t parts = cut.filter_parts * cut.channel_parts;
  if (cut.pieces == 1) {
    parallel_for(stream, parts, 1, [&](int64_t task, int64_t) {
      const Part part(s, cut, task);
      float* const sums = thread_scratch(Scratch::filters, cut.sum_floats());
      sum_part(s, cut, part, x, dy, sums);
      finish_part(s, cut, part, part.k, part.k_end, sums, 0, accumulate, dw);
    });
    return;
  }
  float* const sums = thread_scratch(Scratch::partial, cut.pieces * parts * cut.sum_floats());
  parallel_for(stream, cut.pieces * parts, 1, [&](int64_t task, int64_t) {
    sum_part(s, cut, Part(s, cut, task), x, dy, sums + task * cut.sum_floats());
  });
  constexpr int64_t kRows = 8;  // filters of a task
  const int64_t row_parts = ceil_divide(cut.filters, kRows);
  parallel_for(stream, parts * row_parts, 1, [&](int64_t task, int64_t) {
    const Part part(s, cut, task / row_parts);
    const int64_t k = smaller(part.k + task % row_parts * kRows, part.k_end);
    finish_part(s, cut, part, k, smaller(k + kRows, part.k_end), sums + task / row_parts * cut.sum_floats(),
                parts * cut.sum_floats(), accumulate, dw);
  });
}

}  // namespace convoy::CONVOY_ISA
