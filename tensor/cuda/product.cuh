// The one kernel behind every product: C [rows, columns] = A * B, summed over the depth, for operands that are matrices
// or maps (product_operands.cuh). A block makes one tile of C. It walks along the depth in steps of kDepth; the two
// operand tiles of a step are copied to shared memory asynchronously, kStages - 1 steps ahead of the arithmetic, so that
// memory works while the multipliers do.
//
//   for each step:   wait for its copies | barrier | start the copies of step + kStages - 1 | multiply the tiles
//
// How a tile is multiplied is the business of `Math`: FmaTile (fma_tile.cuh) or TensorCoreTile (tensor_core_tile.cuh).
// A product with few tiles and a long depth is cut into pieces of the depth, each with a C of its own in a workspace; a
// second kernel adds them up in order. The cut depends on the extents alone.
#pragma once

#include "tensor/cuda/intrinsics.cuh"
#include "tensor/cuda/product_operands.cuh"
#include "tensor/cuda/product_result.cuh"

namespace convoy::cuda {

constexpr int kDepth = 32;  // of a step: a line of 32 floats is 128 bytes, all banks of shared memory once

// Where the tile of an operand keeps (row, depth), in floats. Four elements of a line stay together and aligned, so they
// can be copied as one; apart from that, the groups of four (chunks) of a line trade places to keep the reads of a
// warp in distinct banks. A bank is the address modulo 32.
//
// Lines are rows, 32 floats each: chunk j of row r is at j ^ (r % 8). A warp reads one chunk of 8 consecutive rows (a
// matrix of ldmatrix): without the exchange they would all start at the same bank; with it the 8 rows hold it at 8
// distinct chunks, that is, in all 32 banks.
//
// Lines are depths, `rows` floats each, a multiple of 32: the chunks 2i and 2i + 1 of depth d are at 2i ^ 2 (d % 4) and
// the next. A warp reads 4 consecutive depths of 8 consecutive rows: without the exchange all depths would start at the
// same bank; with it they take the four different octets of banks.
template <Lines lines_are, int rows>
__device__ constexpr int tile_offset(int row, int depth) {
  if constexpr (lines_are == Lines::rows) {
    return row * kDepth + ((depth / 4 ^ row % 8) * 4 | depth % 4);
  } else {
    return depth * rows + (row ^ depth % 4 * 8);
  }
}

// Copies tiles of one operand, `rows` by kDepth, to shared memory. A thread copies the same four elements of every
// kLinesApart-th line; a warp's copies lie side by side along the lines.
template <class Operand, int rows, int threads>
class TileLoader {
  using Source = typename Operand::Source;
  static constexpr bool kLinesAreRows = Operand::kLines == Lines::rows;
  static constexpr int kLines = kLinesAreRows ? rows : kDepth, kChunks = (kLinesAreRows ? kDepth : rows) / 4;
  static constexpr int kLinesApart = threads / kChunks, kCopies = kLines / kLinesApart;
  static_assert(threads % kChunks == 0 && kLines % kLinesApart == 0);

 public:
  __device__ TileLoader(const Operand& operand, int first_row)
      : operand_(operand),
        first_line_(static_cast<int>(threadIdx.x) / kChunks),
        first_element_(static_cast<int>(threadIdx.x) % kChunks * 4),
        first_row_(first_row) {
    if constexpr (kLinesAreRows) {
#pragma unroll
      for (int i = 0; i < kCopies; ++i) lines_[i] = operand.source.line(first_row + first_line_ + i * kLinesApart);
    } else {
      element_ = operand.source.element(first_row + first_element_);
    }
  }

  // Starts copying the tile of depths [depth, depth + kDepth). What is outside of the operand becomes 0.
  __device__ void load(int depth, float* tile) const {
    if (operand_.fours) {
      copy(depth, 0, [&](int to, Place from) { copy_async_16(tile + to, from.pointer, from.inside); });
    } else {
#pragma unroll 1
      for (int j = 0; j < 4; ++j) {
        copy(depth, j, [&](int to, Place from) { copy_async_4(tile + to + j, from.pointer, from.inside); });
      }
    }
  }

 private:
  // Calls start(offset of the chunk in the tile, place of its element j) for each of the thread's chunks.
  template <class Start>
  __device__ void copy(int depth, int j, Start&& start) const {
    const Source& source = operand_.source;
    if constexpr (kLinesAreRows) {
      const typename Source::Element element = source.element(depth + first_element_ + j);
#pragma unroll
      for (int i = 0; i < kCopies; ++i) {
        start(tile_offset<Lines::rows, rows>(first_line_ + i * kLinesApart, first_element_),
              source.at(lines_[i], element));
      }
    } else {
      const typename Source::Element element = j == 0 ? element_ : source.element(first_row_ + first_element_ + j);
#pragma unroll
      for (int i = 0; i < kCopies; ++i) {
        const int line = first_line_ + i * kLinesApart;
        start(tile_offset<Lines::depth, rows>(first_element_, line), source.at(source.line(depth + line), element));
      }
    }
  }

  const Operand& operand_;
  int first_line_, first_element_, first_row_;
  typename Source::Line lines_[kLinesAreRows ? kCopies : 1];
  typename Source::Element element_;
};

// How the depth is cut into pieces, and these into steps. At least one piece, which may be empty.
struct DepthCut {
  int pieces, steps_per_piece, steps;
};

constexpr int64_t kLeastStepsPerPiece = 8;

inline DepthCut cut_depth(int64_t tiles, int64_t depth) {
  const int64_t steps = (depth + kDepth - 1) / kDepth;
  const int64_t most = steps / kLeastStepsPerPiece, wanted = kEnoughBlocks / tiles;
  const int64_t pieces = wanted < most ? wanted : most;
  const int64_t steps_per_piece = pieces > 1 ? (steps + pieces - 1) / pieces : steps;
  return {.pieces = steps == 0 ? 1 : static_cast<int>((steps + steps_per_piece - 1) / steps_per_piece),
          .steps_per_piece = static_cast<int>(steps_per_piece),
          .steps = static_cast<int>(steps)};
}

// blockIdx.x counts the tiles of C, those of one row of tiles side by side, because they read the same rows of A and find
// them in the L2 cache; blockIdx.z counts the pieces of the depth. Shared memory: kStages tiles of A, then of B. Each
// operand is read from global memory once for every tile along the other's axis; C is written once.
template <class Math, class OperandA, class OperandB>
__global__ void __launch_bounds__(Math::kThreads, Math::kBlocksPerMultiprocessor)
    product_kernel(const OperandA a, const OperandB b, int tiles_across, const DepthCut cut,
                   const ProductResult result) {
  constexpr int kStages = Math::kStages, kTileA = Math::kRows * kDepth, kTileB = Math::kColumns * kDepth;
  float* const tiles_a = dynamic_shared<float>();
  float* const tiles_b = tiles_a + kStages * kTileA;

  const int first_row = static_cast<int>(blockIdx.x) / tiles_across * Math::kRows;
  const int first_column = static_cast<int>(blockIdx.x) % tiles_across * Math::kColumns;
  const int begin = static_cast<int>(blockIdx.z) * cut.steps_per_piece;
  const int end = begin + cut.steps_per_piece < cut.steps ? begin + cut.steps_per_piece : cut.steps;
  const TileLoader<OperandA, Math::kRows, Math::kThreads> loader_a(a, first_row);
  const TileLoader<OperandB, Math::kColumns, Math::kThreads> loader_b(b, first_column);
  const auto load = [&](int step, int stage) {
    if (step < end) {
      loader_a.load(step * kDepth, tiles_a + stage * kTileA);
      loader_b.load(step * kDepth, tiles_b + stage * kTileB);
    }
    copy_async_commit();  // an empty group too, so that groups and steps count alike
  };

  for (int ahead = 0; ahead < kStages - 1; ++ahead) load(begin + ahead, ahead);
  Math math;
  int stage = 0;
#pragma unroll 1
  for (int step = begin; step < end; ++step) {
    copy_async_wait<kStages - 2>();
    __syncthreads();  // everyone's copies of this step are there, and no one still reads the stage filled next
    load(step + kStages - 1, stage == 0 ? kStages - 1 : stage - 1);
    math.template multiply<OperandA::kLines, OperandB::kLines>(tiles_a + stage * kTileA, tiles_b + stage * kTileB);
    stage = stage == kStages - 1 ? 0 : stage + 1;
  }
  math.template store<OperandA::kLines, OperandB::kLines>([&](int row, int column, auto& values) {
    result.store(static_cast<int>(blockIdx.z), first_row + row, first_column + column, values);
  });
}

// Enqueues C = A * B, summed over `depth` terms. Tiles is FmaTiles or TensorCoreTiles.
template <class Tiles, class OperandA, class OperandB>
void run_product(const char* name, const Stream& stream, const OperandA& a, const OperandB& b, int64_t depth,
                 const ProductResult& result) {
  if (result.rows == 0 || result.columns == 0) return;
  Tiles::choose(result.columns, [&]<class Math> {
    const int64_t tiles_down = (int64_t{result.rows} + Math::kRows - 1) / Math::kRows;
    const int64_t tiles_across = (int64_t{result.columns} + Math::kColumns - 1) / Math::kColumns;
    const int64_t tiles = tiles_down * tiles_across;
    const DepthCut cut = cut_depth(tiles, depth);
    const PiecesOfProduct workspace(stream, cut.pieces, result);
    constexpr size_t kSharedBytes = sizeof(float) * Math::kStages * (Math::kRows + Math::kColumns) * kDepth;
    const Grid grid{.blocks = dim3(static_cast<unsigned>(tiles), 1, static_cast<unsigned>(cut.pieces)),
                    .threads = Math::kThreads,
                    .shared_bytes = kSharedBytes};
    launch(name, stream, grid, product_kernel<Math, OperandA, OperandB>, a, b, static_cast<int>(tiles_across), cut,
           workspace.result_of_pieces());
    workspace.add_up(stream);
  });
}

}  // namespace convoy::cuda
