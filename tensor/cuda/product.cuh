// The one kernel behind every product: C [rows, columns] = A * B, summed over the depth, for operands that are
// matrices or maps (product_operands.cuh). A block makes one tile of C. It walks along the depth in steps of kDepth;
// the two operand tiles of a step are copied to shared memory asynchronously, kStages - 1 steps ahead of the
// arithmetic, so that memory works while the multipliers do.
//
//   for each step:   wait for its copies | barrier | start the copies of step + kStages - 1 | multiply the tiles
//
// How a tile is multiplied is the business of `Math`: FmaTile (fma_tile.cuh), Tf32Tile (tensor_core_tile.cuh) or Bf16Tile
// (bf16_tile.cuh).
// A product with few tiles and a long depth is cut into pieces of the depth, each with a C of its own in a workspace; a
// second kernel adds them up in order. The cut depends on the extents alone.
#pragma once

#include "tensor/cuda/intrinsics.cuh"
#include "tensor/cuda/product_operands.cuh"
#include "tensor/cuda/product_result.cuh"

namespace convoy::cuda {

// Of a step: a line of so many elements is 128 bytes, all banks of shared memory once.
template <class T>
constexpr int kDepth = 128 / sizeof(T);

// How the tile of an operand lies in shared memory. The elements of a chunk (16 bytes) stay together and aligned, so they
// can be copied as one; apart from that, places are chosen so that the reads of a warp fall in distinct banks (a bank is
// the address in units of 4 bytes, modulo 32).
//
// Lines are rows: 8 chunks each, and chunk j of row r is at j ^ (r % 8). A warp reads one chunk of 8 consecutive rows:
// without the exchange they would all be in the same 4 banks; with it they are in 8 distinct chunks of the 8, that is, in
// all 32 banks.
//
// Lines are depths: `rows` elements and 8 more, `rows` being a multiple of 32. A warp reads 8 floats of 4 consecutive
// depths, or one chunk of Bf16 of 8 consecutive depths: without the 8 more they would all be in the same banks; with them
// depth d starts at bank 8 d, or 4 d.
template <Lines lines_are, int rows, class T>
struct TileLayout {
  static constexpr bool kLinesAreRows = lines_are == Lines::rows;
  static constexpr int kLine = kLinesAreRows ? kDepth<T> : rows + 8;  // elements
  static constexpr int kElements = kLine * (kLinesAreRows ? rows : kDepth<T>);

  // Where (row, depth) is. Adding 8 to a row moves it 8 * kLine, or 8, on.
  static __device__ constexpr int offset(int row, int depth) {
    if constexpr (kLinesAreRows) {
      return row * kLine + (depth ^ row % 8 * kChunk<T>);
    } else {
      return depth * kLine + row;
    }
  }
};

// Copies one element, or 0 when it is not `inside`; a Bf16 at once, since no asynchronous copy moves 2 bytes.
__device__ inline void copy_element(float* shared, const float* global, bool inside) {
  copy_async_4(shared, global, inside);
}
__device__ inline void copy_element(Bf16* shared, const Bf16* global, bool inside) {
  *shared = inside ? *global : Bf16{0};
}

// Copies tiles of one operand, `rows` by kDepth, to shared memory. A thread copies the same chunk of every
// kLinesApart-th line; a warp's copies lie side by side along the lines.
template <class Operand, int rows, int threads>
class TileLoader {
  using Source = typename Operand::Source;
  using T = typename Source::Value;
  using Layout = TileLayout<Operand::kLines, rows, T>;
  static constexpr bool kLinesAreRows = Layout::kLinesAreRows;
  static constexpr int kLines = kLinesAreRows ? rows : kDepth<T>;
  static constexpr int kChunks = (kLinesAreRows ? kDepth<T> : rows) / kChunk<T>;
  static constexpr int kLinesApart = threads / kChunks, kCopies = kLines / kLinesApart;
  static_assert(threads % kChunks == 0 && kLines % kLinesApart == 0 && (!kLinesAreRows || kLinesApart % 8 == 0));
  using SourceLines = typename Source::template Lines<kCopies, kLinesApart>;

 public:
  __device__ TileLoader(const Operand& operand, int first_row)
      : operand_(operand),
        kept_lines_(operand.source, kLinesAreRows ? first_row + first_line() : 0),
        first_row_(first_row) {}

  // Starts copying the tile of depths [depth, depth + kDepth). What is outside of the operand becomes 0.
  __device__ void load(int depth, T* tile) const {
    T* const to = tile + (kLinesAreRows ? Layout::offset(first_line(), first_element())
                                        : Layout::offset(first_element(), first_line()));
    if (operand_.chunks) {
      copy(depth, 0, [&](int i, Place<T> from) { copy_async_16(to + i, from.pointer, from.inside); });
    } else {
#pragma unroll 1
      for (int j = 0; j < kChunk<T>; ++j) {
        copy(depth, j, [&](int i, Place<T> from) { copy_element(to + i + j, from.pointer, from.inside); });
      }
    }
  }

 private:
  static __device__ int first_line() { return static_cast<int>(threadIdx.x) / kChunks; }
  static __device__ int first_element() { return static_cast<int>(threadIdx.x) % kChunks * kChunk<T>; }

  // Calls start(distance from the thread's first chunk in the tile, place of its element j) for each of the thread's
  // chunks.
  template <class Start>
  __device__ void copy(int depth, int j, Start&& start) const {
    const typename Source::Element element =
        operand_.source.element((kLinesAreRows ? depth : first_row_) + first_element() + j);
    if constexpr (kLinesAreRows) {
#pragma unroll
      for (int i = 0; i < kCopies; ++i) start(i * kLinesApart * Layout::kLine, kept_lines_.place(i, element));
    } else {
      const SourceLines lines(operand_.source, depth + first_line());
#pragma unroll
      for (int i = 0; i < kCopies; ++i) start(i * kLinesApart * Layout::kLine, lines.place(i, element));
    }
  }

  const Operand& operand_;
  const SourceLines kept_lines_;
  const int first_row_;
};

// How the depth is cut into pieces, and these into steps. At least one piece, which may be empty.
struct DepthCut {
  int pieces, steps_per_piece, steps;
};

constexpr int64_t kLeastStepsPerPiece = 8;

inline DepthCut cut_depth(int64_t tiles, int64_t depth, int64_t depth_of_step) {
  const int64_t steps = (depth + depth_of_step - 1) / depth_of_step;
  const int64_t most = steps / kLeastStepsPerPiece, wanted = kEnoughBlocks / tiles;
  const int64_t pieces = wanted < most ? wanted : most;
  const int64_t steps_per_piece = pieces > 1 ? (steps + pieces - 1) / pieces : steps;
  return {.pieces = steps == 0 ? 1 : static_cast<int>((steps + steps_per_piece - 1) / steps_per_piece),
          .steps_per_piece = static_cast<int>(steps_per_piece),
          .steps = static_cast<int>(steps)};
}

// The block's tile of C in shared memory, where the stages of operands were: lines of a row, neighbouring rows 8 banks
// apart.
template <class Math>
constexpr int kResultLine = Math::kColumns + 8;

// Mean and M2 of each column of the tile; see ProductResult::moments. A thread takes a column.
template <class Math>
__device__ void store_moments(const float* tile, const ProductResult& result, int first_row, int first_column) {
  constexpr int kLine = kResultLine<Math>;
  const int column = static_cast<int>(threadIdx.x), left = result.rows - first_row;
  const int rows = left < Math::kRows ? left : Math::kRows;
  if (column >= Math::kColumns || first_column + column >= result.columns) return;
  float sum = 0, m2 = 0;
#pragma unroll 8
  for (int row = 0; row < rows; ++row) sum += tile[row * kLine + column];
  const float mean = sum / static_cast<float>(rows);
#pragma unroll 8
  for (int row = 0; row < rows; ++row) {
    const float distance = tile[row * kLine + column] - mean;
    m2 += distance * distance;
  }
  float* const out = result.moments + int64_t{first_row} / Math::kRows * 2 * result.columns + first_column + column;
  out[0] = mean;
  out[result.columns] = m2;
}

// Stores the block's tile of C, and its moments. The sums pass through shared memory, whose operands nobody needs any
// more; from there a loop of a few instructions stores them, four at a time, a warp's side by side. Stored straight from the
// registers, each of a thread's 64 pairs would have instructions of its own: 270 KB of code, which every block runs through
// once.
template <Lines a_lines, Lines b_lines, class Math>
__device__ void store_tile(const Math& math, const ProductResult& result, int piece, int first_row, int first_column) {
  constexpr int kLine = kResultLine<Math>, kRun = 4, kAcross = Math::kColumns / kRun;
  using T = typename Math::Element;
  static_assert(Math::kRows * kLine * sizeof(float) <=
                Math::kStages * (Math::kRows + Math::kColumns) * kDepth<T> * sizeof(T));
  float* const tile = dynamic_shared<float>();
  copy_async_wait<0>();
  __syncthreads();
  math.template store<a_lines, b_lines>([&]<int count>(int row, int column, const Vector<count>& sums) {
    convoy::cuda::store(tile + row * kLine + column, sums);
  });
  __syncthreads();
  const bool lines_are_columns = result.column_stride != 1;
#pragma unroll 2
  for (int i = static_cast<int>(threadIdx.x); i < Math::kRows * kAcross; i += Math::kThreads) {
    const int row = lines_are_columns ? i % Math::kRows : i / kAcross;
    const int column = (lines_are_columns ? i / Math::kRows : i % kAcross) * kRun;
    float* const at = tile + row * kLine + column;
    const auto sums = load<kRun>(at);
    result.store(piece, first_row + row, first_column + column, sums);
    if (result.moments != nullptr) convoy::cuda::store(at, result.stored(sums, first_column + column));
  }
  if (result.moments == nullptr) return;
  __syncthreads();
  store_moments<Math>(tile, result, first_row, first_column);
}

// blockIdx.x counts the tiles of C, those of one row of tiles side by side, because they read the same rows of A and
// find them in the L2 cache; blockIdx.z counts the pieces of the depth. Shared memory: kStages tiles of A, then of B.
// Each operand is read from global memory once for every tile along the other's axis; C is written once.
template <class Math, class OperandA, class OperandB>
__global__ void __launch_bounds__(Math::kThreads, Math::kBlocksPerMultiprocessor)
    product_kernel(const OperandA a, const OperandB b, int tiles_across, const DepthCut cut,
                   const ProductResult result) {
  using T = typename Math::Element;
  constexpr int kStages = Math::kStages;
  constexpr int kTileA = TileLayout<OperandA::kLines, Math::kRows, T>::kElements;
  constexpr int kTileB = TileLayout<OperandB::kLines, Math::kColumns, T>::kElements;
  T* const tiles_a = dynamic_shared<T>();
  T* const tiles_b = tiles_a + kStages * kTileA;

  const int first_row = static_cast<int>(blockIdx.x) / tiles_across * Math::kRows;
  const int first_column = static_cast<int>(blockIdx.x) % tiles_across * Math::kColumns;
  const int begin = static_cast<int>(blockIdx.z) * cut.steps_per_piece;
  const int end = begin + cut.steps_per_piece < cut.steps ? begin + cut.steps_per_piece : cut.steps;
  const TileLoader<OperandA, Math::kRows, Math::kThreads> loader_a(a, first_row);
  const TileLoader<OperandB, Math::kColumns, Math::kThreads> loader_b(b, first_column);
  const auto load = [&](int step, int stage) {
    if (step < end) {
      loader_a.load(step * kDepth<T>, tiles_a + stage * kTileA);
      loader_b.load(step * kDepth<T>, tiles_b + stage * kTileB);
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
  store_tile<OperandA::kLines, OperandB::kLines>(math, result, static_cast<int>(blockIdx.z), first_row, first_column);
}

template <class Math, class OperandA, class OperandB>
constexpr size_t kProductSharedBytes =
    sizeof(typename Math::Element) *
    Math::kStages*(TileLayout<OperandA::kLines, Math::kRows, typename Math::Element>::kElements +
                   TileLayout<OperandB::kLines, Math::kColumns, typename Math::Element>::kElements);

// Enqueues C = A * B, summed over `depth` terms, and what the epilogue asks for. Tiles names tiles by the number of
// columns: FmaTiles, Tf32Tiles, …
template <class Tiles, class OperandA, class OperandB>
void run_product(const char* name, const Stream& stream, const OperandA& a, const OperandB& b, int64_t depth,
                 const ProductResult& result) {
  if (result.rows == 0 || result.columns == 0)
    return take_statistics(stream, result.rows, result.columns, result.c, result.epilogue);
  const auto fits = [&]<class Math> {
    return kProductSharedBytes<Math, OperandA, OperandB> <= most_shared_bytes(stream);
  };
  Tiles::choose(result.columns, fits, [&]<class Math> {
    const int64_t tiles_down = (int64_t{result.rows} + Math::kRows - 1) / Math::kRows;
    const int64_t tiles_across = (int64_t{result.columns} + Math::kColumns - 1) / Math::kColumns;
    const int64_t tiles = tiles_down * tiles_across;
    const DepthCut cut = cut_depth(tiles, depth, kDepth<typename Math::Element>);
    const PiecesOfProduct workspace(stream, cut.pieces, result);
    const MomentsOfProduct statistics(stream, cut.pieces, tiles_down, result);
    const Grid grid{.blocks = dim3(static_cast<unsigned>(tiles), 1, static_cast<unsigned>(cut.pieces)),
                    .threads = Math::kThreads,
                    .shared_bytes = kProductSharedBytes<Math, OperandA, OperandB>};
    launch(name, stream, grid, product_kernel<Math, OperandA, OperandB>, a, b, static_cast<int>(tiles_across), cut,
           statistics.added_to(workspace.result_of_pieces()));
    workspace.add_up(stream);
    statistics.finish(stream, Math::kRows);
  });
}

}  // namespace convoy::cuda
