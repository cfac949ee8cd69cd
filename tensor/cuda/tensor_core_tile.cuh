// The arithmetic of the rung `tensor_core`: a block's tile of C in the registers of four warps, 64 rows by half of the
// columns each, by the matrix instruction mma.m16n8k8 (TF32). bf16_tile.cuh has the same for bf16.
//
// Shared memory holds fp32; operands are rounded in registers, on their way to the instruction. A warp reads 16 rows
// by 8 depths of an operand at a time, as a 2 x 2 square of 8 x 4 matrices, lane (group, member) getting row `group`,
// depth `member` of each: A's fragment, or two of B.
#pragma once

#include "tensor/cuda/product.cuh"

namespace convoy::cuda {

// What a warp reads at once: the four matrices of a square, into four registers. The matrix instructions want a fragment's
// registers side by side, in this order; any other costs two to four moves before each, about as long as the instruction itself.
struct SquareOfA {  // a whole fragment: down the rows first
  static __device__ constexpr int row(int matrix) { return matrix % 2; }
  static __device__ constexpr int depth(int matrix) { return matrix / 2; }
};
struct SquareOfB {  // two fragments, one below the other: along the depth first
  static __device__ constexpr int row(int matrix) { return matrix / 2; }
  static __device__ constexpr int depth(int matrix) { return matrix % 2; }
};

// The sums of a block of four warps, and where they belong.
template <int columns>
class TensorCoreSums {
 public:
  static constexpr int kRows = 128, kColumns = columns, kThreads = 128;
  static constexpr int kStages = 3, kBlocksPerMultiprocessor = columns == 64 ? 3 : 2;

  // Calls element(row, column, values) for the thread's elements of the tile, in pairs along a row.
  template <Lines, Lines, class Store>
  __device__ void store(Store&& element) const {
#pragma unroll
    for (int i = 0; i < kTilesDown; ++i) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
#pragma unroll
        for (int j = 0; j < kTilesAcross; ++j) {
          const Vector<2> pair = {sums_[i][j][2 * half], sums_[i][j][2 * half + 1]};
          element(first_row() + 16 * i + 8 * half + lane() / 4, first_column() + 8 * j + lane() % 4 * 2, pair);
        }
      }
    }
  }

 protected:
  static constexpr int kWarpRows = kRows / 2, kWarpColumns = columns / 2;
  static constexpr int kTilesDown = kWarpRows / 16, kTilesAcross = kWarpColumns / 8;

  static __device__ int lane() { return static_cast<int>(threadIdx.x) % 32; }
  static __device__ int first_row() { return static_cast<int>(threadIdx.x) / 64 * kWarpRows; }
  static __device__ int first_column() { return static_cast<int>(threadIdx.x) / 32 % 2 * kWarpColumns; }

  float sums_[kTilesDown][kTilesAcross][4] = {};
};

// How an fp32 operand enters a tensor core. `thrice` splits it in two, x = big + small, both TF32, and multiplies
// big * big + big * small + small * big: as good as fp32 but for the lost small * small, 2^-22 of the product.
enum class Rounding { once, thrice };

template <Rounding rounding, int columns>
class Tf32Tile : public TensorCoreSums<columns> {
  using Sums = TensorCoreSums<columns>;
  using Sums::kTilesAcross, Sums::kTilesDown, Sums::lane, Sums::sums_;

 public:
  using Element = float;

  // Adds the product of two tiles in shared memory.
  template <Lines a_lines, Lines b_lines>
  __device__ void multiply(const float* a, const float* b) {
    const int a_lane = lane_offset<a_lines, Sums::kRows, SquareOfA>(Sums::first_row());
    const int b_lane = lane_offset<b_lines, columns, SquareOfB>(Sums::first_column());
#pragma unroll kUnroll
    for (int depth = 0; depth < kDepth<float>; depth += 8) {
      uint32_t b_parts[kTilesAcross][kParts][2];
#pragma unroll
      for (int j = 0; j < kTilesAcross; j += 2) {
        float square[4];
        read<b_lines, columns, SquareOfB>(b, b_lane, 8 * j, depth, square);
#pragma unroll
        for (int l = 0; l < 4; ++l) split(square[l], b_parts[j + SquareOfB::row(l)], SquareOfB::depth(l));
      }
#pragma unroll
      for (int i = 0; i < kTilesDown; ++i) {
        float square[4];
        uint32_t a_parts[kParts][4];
        read<a_lines, Sums::kRows, SquareOfA>(a, a_lane, 16 * i, depth, square);
#pragma unroll
        for (int l = 0; l < 4; ++l) split(square[l], a_parts, l);
#pragma unroll
        for (int j = 0; j < kTilesAcross; ++j) {
          if constexpr (rounding == Rounding::thrice) {
            mma_tf32(sums_[i][j], a_parts[1], b_parts[j][0]);
            mma_tf32(sums_[i][j], a_parts[0], b_parts[j][1]);
          }
          mma_tf32(sums_[i][j], a_parts[0], b_parts[j][0]);
        }
      }
    }
  }

 private:
  static constexpr int kUnroll = rounding == Rounding::thrice ? 1 : 2;  // 64 or 96 instructions in the loop
  static constexpr int kParts = rounding == Rounding::thrice ? 2 : 1;

  // Where the lane starts to read in a tile whose part for the warp starts at `row`.
  template <Lines lines_are, int rows, class Square>
  static __device__ int lane_offset(int row) {
    if constexpr (lines_are == Lines::rows) {
      const int matrix = lane() / 8;
      return TileLayout<lines_are, rows, float>::offset(row + Square::row(matrix) * 8 + lane() % 8,
                                                        Square::depth(matrix) * 4);
    } else {
      return TileLayout<lines_are, rows, float>::offset(row + lane() / 4, lane() % 4);
    }
  }

  // square[l] = element (row + 8 Square::row(l) + group, depth + 4 Square::depth(l) + member), where row counts from the
  // warp's first; row and depth are multiples of 8. Only constants are added to lane_offset(), but for the depth along a
  // row, which the layout wants exchanged.
  template <Lines lines_are, int rows, class Square>
  static __device__ void read(const float* tile, int lane_offset, int row, int depth, float (&square)[4]) {
    using Layout = TileLayout<lines_are, rows, float>;
    if constexpr (lines_are == Lines::rows) {
      uint32_t bits[4];
      load_matrix_x4(bits, tile + (lane_offset ^ depth) + row * Layout::kLine);
#pragma unroll
      for (int l = 0; l < 4; ++l) square[l] = __uint_as_float(bits[l]);
    } else {
#pragma unroll
      for (int l = 0; l < 4; ++l)
        square[l] = tile[lane_offset + (depth + Square::depth(l) * 4) * Layout::kLine + row + Square::row(l) * 8];
    }
  }

  // parts[0][i] = x in TF32; parts[1][i] = what that leaves out.
  template <int count>
  static __device__ void split(float x, uint32_t (&parts)[kParts][count], int i) {
    parts[0][i] = round_to_tf32(x);
    if constexpr (kParts == 2) parts[1][i] = round_to_tf32(x - __uint_as_float(parts[0][i]));
  }
};

// Calls body with the wide tile for a product of more than 64 columns, where its shared memory fits the device, else with
// the narrow one.
template <class Wide, class Narrow, class Fits, class Body>
void choose_by_columns(int64_t columns, Fits&& fits, Body&& body) {
  if (columns > 64 && fits.template operator()<Wide>()) return body.template operator()<Wide>();
  body.template operator()<Narrow>();
}

struct Tf32Tiles {
  using Element = float;
  template <class Fits, class Body>
  static void choose(int64_t columns, Fits&& fits, Body&& body) {
    choose_by_columns<Tf32Tile<Rounding::once, 128>, Tf32Tile<Rounding::once, 64>>(columns, fits, body);
  }
};

// Only narrow: nothing chooses it unasked, and the wide one would take longer to compile than all others.
struct Tf32ThriceTiles {
  using Element = float;
  template <class Fits, class Body>
  static void choose(int64_t, Fits&&, Body&& body) {
    body.template operator()<Tf32Tile<Rounding::thrice, 64>>();
  }
};

}  // namespace convoy::cuda
