// Tiles of C by the matrix instruction mma.m16n8k16 on operands that are bf16 in memory; sums are fp32, and lie as in
// tensor_core_tile.cuh.
//
// A warp reads 16 rows by 16 depths of an operand at a time, as four 8 x 8 matrices: A's fragment, or two of B. Where
// lines are depths, ldmatrix transposes them on the way, so that a register holds neighbours along the depth either way.
#pragma once

#include "tensor/cuda/tensor_core_tile.cuh"

namespace convoy::cuda {

template <int columns>
class Bf16Tile : public TensorCoreSums<columns> {
  using Sums = TensorCoreSums<columns>;
  using Sums::kTilesAcross, Sums::kTilesDown, Sums::lane, Sums::sums_;

 public:
  using Element = Bf16;

  // Adds the product of two tiles in shared memory.
  template <Lines a_lines, Lines b_lines>
  __device__ void multiply(const Bf16* a, const Bf16* b) {
    const int a_lane = lane_offset<a_lines, Sums::kRows, SquareOfA>(Sums::first_row());
    const int b_lane = lane_offset<b_lines, columns, SquareOfB>(Sums::first_column());
#pragma unroll 2
    for (int depth = 0; depth < kDepth<Bf16>; depth += 16) {
      uint32_t b_parts[kTilesAcross][2];
#pragma unroll
      for (int j = 0; j < kTilesAcross; j += 2) {
        uint32_t square[4];
        read<b_lines, columns>(b, b_lane, 8 * j, depth, square);
#pragma unroll
        for (int l = 0; l < 4; ++l) b_parts[j + SquareOfB::row(l)][SquareOfB::depth(l)] = square[l];
      }
#pragma unroll
      for (int i = 0; i < kTilesDown; ++i) {
        uint32_t square[4];
        read<a_lines, Sums::kRows>(a, a_lane, 16 * i, depth, square);
#pragma unroll
        for (int j = 0; j < kTilesAcross; ++j) mma_bf16(sums_[i][j], square, b_parts[j]);
      }
    }
  }

 private:
  // Where the lane's line of its matrix is, in a tile whose part for the warp starts at `row`.
  template <Lines lines_are, int rows, class Square>
  static __device__ int lane_offset(int row) {
    const int matrix = lane() / 8, line = lane() % 8;
    constexpr bool kLinesAreRows = lines_are == Lines::rows;
    return TileLayout<lines_are, rows, Bf16>::offset(row + Square::row(matrix) * 8 + (kLinesAreRows ? line : 0),
                                                     Square::depth(matrix) * 8 + (kLinesAreRows ? 0 : line));
  }

  // square[l] = elements (row + 8 Square::row(l) + group, depth + 8 Square::depth(l) + 2 member) and the next along the
  // depth, where row counts from the warp's first; row is a multiple of 8, depth of 16.
  template <Lines lines_are, int rows>
  static __device__ void read(const Bf16* tile, int lane_offset, int row, int depth, uint32_t (&square)[4]) {
    using Layout = TileLayout<lines_are, rows, Bf16>;
    if constexpr (lines_are == Lines::rows) {
      load_matrix_x4(square, tile + (lane_offset ^ depth) + row * Layout::kLine);
    } else {
      load_matrix_x4_transposed(square, tile + lane_offset + depth * Layout::kLine + row);
    }
  }
};

struct Bf16Tiles {
  using Element = Bf16;
  template <class Fits, class Body>
  static void choose(int64_t columns, Fits&& fits, Body&& body) {
    choose_by_columns<Bf16Tile<128>, Bf16Tile<64>>(columns, fits, body);
  }
};

}  // namespace convoy::cuda
