// Helpers for kernels over a [rows, columns] matrix that treat every column alike: reductions over the rows, and
// elementwise work with one parameter per column.
//
// A block of 256 threads takes one tile, a piece of the rows by at most 32 vectors of columns. `across` threads (a power
// of two) lie side by side over the columns, the 256 / across others below them; each thread keeps its columns, so
// parameters and sums stay in registers, and steps down the rows of its piece. A warp reads up to 512 bytes in a row, 256
// in bf16.
//
// A reduction leaves one partial result per piece; finishing blocks then take 8 columns each (32 bytes, the least
// that memory moves) and merge their pieces in a fixed order.
#pragma once

#include "tensor/cuda/block_reduce.cuh"
#include "tensor/cuda/vector_access.cuh"

namespace convoy::cuda {

constexpr unsigned kTileThreads = 256;

// Tiles of a matrix, cut by the shape alone.
struct MatrixCut {
  int64_t rows, columns;
  int64_t rows_per_piece, pieces;
  int64_t tiles;  // in a row of tiles; the grid has pieces * tiles blocks
  unsigned across;

  Grid grid(size_t shared_bytes_per_thread = 0) const {
    return {.blocks = dim3(static_cast<unsigned>(pieces * tiles)),
            .threads = kTileThreads,
            .shared_bytes = shared_bytes_per_thread * kTileThreads};
  }
};

// Width W needs columns % W == 0. A thread gets at least 8 rows and, to keep blocks below `most_blocks`, more.
inline MatrixCut cut_matrix(int64_t rows, int64_t columns, int width, int64_t most_blocks) {
  const int64_t vectors = columns / width;
  MatrixCut cut{.rows = rows, .columns = columns, .rows_per_piece = 0, .pieces = 0, .tiles = 0, .across = 1};
  while (cut.across < vectors && cut.across < 32) cut.across *= 2;
  cut.tiles = (vectors + cut.across - 1) / cut.across;
  const int64_t most_pieces = cut.tiles > 0 && cut.tiles < most_blocks ? most_blocks / cut.tiles : 1;
  const int64_t least = 8 * kTileThreads / cut.across, even = (rows + most_pieces - 1) / most_pieces;
  cut.rows_per_piece = even > least ? even : least;
  cut.pieces = (rows + cut.rows_per_piece - 1) / cut.rows_per_piece;
  return cut;
}

// Elementwise work: small pieces, many blocks. (2^31 - 1 blocks of at least 256 vectors are more than a GPU holds.)
inline MatrixCut cut_for_map(int64_t rows, int64_t columns, int width) {
  return cut_matrix(rows, columns, width, INT64_C(1) << 40);
}

// Reductions: about four blocks for each multiprocessor of an H200, all resident at once.
inline MatrixCut cut_for_reduction(int64_t rows, int64_t columns, int width) {
  return cut_matrix(rows, columns, width, 512);
}

// What one thread has to do. A thread right of the last column has no rows.
struct MatrixTile {
  int64_t piece;
  int64_t column;            // the first of W
  int64_t row, end, height;  // rows row, row + height, … below end
  bool inside;

  template <int W>
  static __device__ MatrixTile of_thread(const MatrixCut& cut) {
    MatrixTile tile;
    tile.piece = blockIdx.x / cut.tiles;
    tile.column = (blockIdx.x % cut.tiles * cut.across + threadIdx.x % cut.across) * W;
    tile.inside = tile.column < cut.columns;
    tile.height = kTileThreads / cut.across;
    const int64_t begin = tile.piece * cut.rows_per_piece, end = begin + cut.rows_per_piece;
    tile.row = begin + threadIdx.x / cut.across;
    tile.end = !tile.inside ? begin : end < cut.rows ? end : cut.rows;
    return tile;
  }
};

// Calls body(at, in) for each of the thread's rows, downwards; `at` is the offset of its vector there and in[j] what
// array j holds at it. Loads of kRowsInFlight rows are issued together, before the body sees the first.
constexpr int kRowsInFlight = 4;
template <int W, class Body, class... T>
__device__ inline void for_rows(const MatrixCut& cut, const MatrixTile& tile, Body&& body, const T*... arrays) {
  // Offsets as multiples of W, so that the compiler sees that stores are aligned and does not cut them into single ones.
  const auto offset = [&](int64_t row) { return (row * (cut.columns / W) + tile.column / W) * W; };
  for (int64_t row = tile.row; row < tile.end; row += kRowsInFlight * tile.height) {
    Vector<W> in[kRowsInFlight][sizeof...(arrays)] = {};
#pragma unroll
    for (int k = 0; k < kRowsInFlight; ++k) {
      const int64_t here = row + k * tile.height, at = offset(here);
      int j = 0;
      if (here < tile.end) ((in[k][j++] = load<W>(arrays + at)), ...);
    }
#pragma unroll
    for (int k = 0; k < kRowsInFlight; ++k) {
      const int64_t here = row + k * tile.height;
      if (here < tile.end) body(offset(here), in[k]);
    }
  }
}

// --- finishing a reduction ----------------------------------------------------------------------------------------

constexpr unsigned kFinishColumns = 8;

template <class State>
Grid finishing_grid(int64_t columns) {
  return {.blocks = dim3(static_cast<unsigned>((columns + kFinishColumns - 1) / kFinishColumns)),
          .threads = kTileThreads,
          .shared_bytes = kTileThreads * sizeof(State)};
}

// Calls add(state, column, piece) for every piece of every column, then finish(state, column) once for each column with
// all its pieces merged. On the grid above.
template <class State, class Add, class Finish>
__device__ inline void finish_columns(int64_t columns, int64_t pieces, Add&& add, Finish&& finish) {
  const int64_t column = int64_t{blockIdx.x} * kFinishColumns + threadIdx.x % kFinishColumns;
  State mine;
  if (column < columns) {
#pragma unroll 4
    for (int64_t piece = threadIdx.x / kFinishColumns; piece < pieces; piece += kTileThreads / kFinishColumns)
      add(mine, column, piece);
  }
  merge_down_columns(mine, kFinishColumns);
  if (threadIdx.x < kFinishColumns && column < columns) finish(mine, column);
}

}  // namespace convoy::cuda
