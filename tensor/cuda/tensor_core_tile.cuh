// The arithmetic of the rung `tensor_core`: a block's tile of C in the registers of four warps, 64 rows by half of the
// columns each, by the matrix instructions mma.m16n8k8 (TF32) and mma.m16n8k16 (bf16).
//
// Shared memory holds fp32; operands are rounded in registers, on their way to the instruction. A warp reads 16 rows
// by 8 depths of an operand at a time, as a 2 x 2 square of 8 x 4 matrices, lane (group, member) getting row `group`,
// depth `member` of each. That is half of what A's fragment of m16n8k16 wants, all of what m16n8k8 wants, and two
// fragments of B. For bf16 an instruction wants neighbours along the depth in one register; since a sum does not care
// for the order of its terms, we let depths d and d + 4 of memory be its neighbours 2d and 2d + 1, in A and B alike.
#pragma once

#include "tensor/cuda/product.cuh"

namespace convoy::cuda {

// How an fp32 operand enters a tensor core. tf32_thrice splits it in two, x = big + small, both TF32, and multiplies
// big * big + big * small + small * big: as good as fp32 but for the lost small * small, 2^-22 of the product.
enum class Rounding { tf32, tf32_thrice, bf16 };

template <Rounding rounding, int columns>
class TensorCoreTile {
 public:
  static constexpr int kRows = 128, kColumns = columns, kThreads = 128;
  static constexpr int kStages = 3, kBlocksPerMultiprocessor = columns == 64 ? 3 : 2;

  // Adds the product of two tiles in shared memory.
  template <Lines a_lines, Lines b_lines>
  __device__ void multiply(const float* a, const float* b) {
    const int a_lane = lane_offset<a_lines, kRows>(first_row()), b_lane = lane_offset<b_lines, columns>(first_column());
#pragma unroll kUnroll
    for (int depth = 0; depth < kDepth; depth += 8 * kSquares) {
      uint32_t b_parts[kTilesAcross][kParts][2];
#pragma unroll
      for (int j = 0; j < kTilesAcross; j += 2) {
        float squares[kSquares][2][2];
        read<b_lines, columns>(b, b_lane, 8 * j, depth, squares);
#pragma unroll
        for (int half = 0; half < 2; ++half) {
#pragma unroll
          for (int i = 0; i < 2; ++i) {
            if constexpr (rounding == Rounding::bf16) {
              b_parts[j + half][0][i] = pack_bf16(squares[i][half][0], squares[i][half][1]);
            } else {
              split(squares[0][half][i], b_parts[j + half], i);
            }
          }
        }
      }
#pragma unroll
      for (int i = 0; i < kTilesDown; ++i) {
        float squares[kSquares][2][2];
        uint32_t a_parts[kParts][4];
        read<a_lines, kRows>(a, a_lane, 16 * i, depth, squares);
#pragma unroll
        for (int l = 0; l < 4; ++l) {
          if constexpr (rounding == Rounding::bf16) {
            a_parts[0][l] = pack_bf16(squares[l / 2][l % 2][0], squares[l / 2][l % 2][1]);
          } else {
            split(squares[0][l % 2][l / 2], a_parts, l);
          }
        }
#pragma unroll
        for (int j = 0; j < kTilesAcross; ++j) {
          if constexpr (rounding == Rounding::bf16) {
            mma_bf16(sums_[i][j], a_parts[0], b_parts[j][0]);
          } else {
            if constexpr (rounding == Rounding::tf32_thrice) {
              mma_tf32(sums_[i][j], a_parts[1], b_parts[j][0]);
              mma_tf32(sums_[i][j], a_parts[0], b_parts[j][1]);
            }
            mma_tf32(sums_[i][j], a_parts[0], b_parts[j][0]);
          }
        }
      }
    }
  }

  // Calls element(row, column, values) for the thread's elements of the tile, in pairs along a row.
  template <Lines, Lines, class Store>
  __device__ void store(Store&& element) const {
#pragma unroll
    for (int i = 0; i < kTilesDown; ++i) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
#pragma unroll
        for (int j = 0; j < kTilesAcross; ++j) {
          const float pair[2] = {sums_[i][j][2 * half], sums_[i][j][2 * half + 1]};
          element(first_row() + 16 * i + 8 * half + lane() / 4, first_column() + 8 * j + lane() % 4 * 2, pair);
        }
      }
    }
  }

 private:
  static constexpr int kWarpRows = kRows / 2, kWarpColumns = columns / 2;
  static constexpr int kTilesDown = kWarpRows / 16, kTilesAcross = kWarpColumns / 8;
  static constexpr int kSquares = rounding == Rounding::bf16 ? 2 : 1;        // of 8 depths, to an instruction
  static constexpr int kUnroll = rounding == Rounding::tf32_thrice ? 1 : 2;  // 64 or 96 instructions in the loop
  static constexpr int kParts = rounding == Rounding::tf32_thrice ? 2 : 1;

  static __device__ int lane() { return static_cast<int>(threadIdx.x) % 32; }
  static __device__ int first_row() { return static_cast<int>(threadIdx.x) / 64 * kWarpRows; }
  static __device__ int first_column() { return static_cast<int>(threadIdx.x) / 32 % 2 * kWarpColumns; }

  // Where the lane starts to read in a tile whose part for the warp starts at `row`.
  template <Lines lines_are, int rows>
  static __device__ int lane_offset(int row) {
    if constexpr (lines_are == Lines::rows) {
      const int matrix = lane() / 8;
      return TileLayout<lines_are, rows>::offset(row + matrix / 2 * 8 + lane() % 8, matrix % 2 * 4);
    } else {
      return TileLayout<lines_are, rows>::offset(row + lane() / 4, lane() % 4);
    }
  }

  // squares[l][i][j] = element (row + 8 i + group, depth + 8 l + 4 j + member), where row counts from the warp's first;
  // row and depth are multiples of 8. Only constants are added to lane_offset(), but for the depth along a row, which
  // the layout wants exchanged.
  template <Lines lines_are, int rows>
  static __device__ void read(const float* tile, int lane_offset, int row, int depth,
                              float (&squares)[kSquares][2][2]) {
    using Layout = TileLayout<lines_are, rows>;
#pragma unroll
    for (int l = 0; l < kSquares; ++l) {
      if constexpr (lines_are == Lines::rows) {
        uint32_t bits[4];
        load_matrix_x4(bits, tile + (lane_offset ^ (depth + 8 * l)) + row * Layout::kLineFloats);
#pragma unroll
        for (int i = 0; i < 4; ++i) squares[l][i / 2][i % 2] = __uint_as_float(bits[i]);
      } else {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          squares[l][i / 2][i % 2] =
              tile[lane_offset + (depth + 8 * l + i % 2 * 4) * Layout::kLineFloats + row + i / 2 * 8];
        }
      }
    }
  }

  // parts[0][i] = x in TF32; parts[1][i] = what that leaves out.
  template <int count>
  static __device__ void split(float x, uint32_t (&parts)[kParts][count], int i) {
    parts[0][i] = round_to_tf32(x);
    if constexpr (kParts == 2) parts[1][i] = round_to_tf32(x - __uint_as_float(parts[0][i]));
  }

  float sums_[kTilesDown][kTilesAcross][4] = {};
};

// The tile for a product of so many columns, where its shared memory fits the device. tf32_thrice makes do with the narrow one: nothing chooses it unasked, and
// the wide one would take longer to compile than all others.
template <Rounding rounding>
struct TensorCoreTiles {
  template <class Fits, class Body>
  static void choose(int64_t columns, Fits&& fits, Body&& body) {
    if constexpr (rounding != Rounding::tf32_thrice) {
      using Wide = TensorCoreTile<rounding, 128>;
      if (columns > 64 && fits.template operator()<Wide>()) return body.template operator()<Wide>();
    }
    body.template operator()<TensorCoreTile<rounding, 64>>();
  }
};

}  // namespace convoy::cuda
