// Helpers for kernels over a [rows, columns] matrix that treat every column alike: reductions over the rows,
// and elementwise work with one parameter per column. Columns are taken in blocks whose accumulators and
// parameters stay in registers while rows stream by.
#pragma once

#include "tensor/cpu/integers.h"
#include "tensor/cpu/lanes.h"
#include "tensor/cpu/parallel.h"

namespace convoy::CONVOY_ISA {

// Calls body.operator()<Lane, K>(c) for consecutive blocks of K * Lane::kWidth columns starting at c, which
// together cover all columns.
template <class Body>
inline void for_column_blocks(int64_t columns, Body&& body) {
  using Full = Lanes<kVectorFloats>;
  int64_t c = 0;
  for (; c + 4 * kVectorFloats <= columns; c += 4 * kVectorFloats) body.template operator()<Full, 4>(c);
  for (; c + 2 * kVectorFloats <= columns; c += 2 * kVectorFloats) body.template operator()<Full, 2>(c);
  for (; c + kVectorFloats <= columns; c += kVectorFloats) body.template operator()<Full, 1>(c);
  for (; c + 4 <= columns; c += 4) body.template operator()<Lanes<4>, 1>(c);
  for (; c < columns; ++c) body.template operator()<Lanes<1>, 1>(c);
}

// Items of `floats` floats each that make up one chunk of about 64 KiB.
inline int64_t chunk_of(int64_t floats) {
  constexpr int64_t kChunkFloats = 16384;
  return floats >= kChunkFloats ? 1 : kChunkFloats / (floats + 1) + 1;
}

// Rows of a matrix cut into pieces, one partial result each; by the shape alone, so sums come out the same on
// any number of threads.
struct RowPieces {
  int64_t rows_per_piece;
  int64_t count;
};

inline RowPieces cut_rows(int64_t rows, int64_t columns) {
  constexpr int64_t kMostPieces = 64, kLeastElements = 8192;
  const int64_t by_count = ceil_divide(rows, kMostPieces);
  const int64_t by_size = (kLeastElements + columns) / (columns + 1);
  const int64_t rows_per_piece = larger(by_count, by_size);
  return {rows_per_piece, ceil_divide(rows, rows_per_piece)};
}

// Calls body(begin, end) for blocks of the columns that together cover them all, for adding up pieces: sums of a block's columns find
// room on the stack, so that pieces can be taken outside and columns, in vectors, inside.
inline constexpr int64_t kSummedColumns = 64;
template <class Body>
inline void for_summed_columns(int64_t columns, Body&& body) {
  for (int64_t c = 0; c < columns; c += kSummedColumns) body(c, smaller(c + kSummedColumns, columns));
}

// Rows that fit into 16 KiB, half a first-level cache: what one block function handles at a time.
inline int64_t rows_per_block(int64_t columns) {
  constexpr int64_t kBlockFloats = 4096;
  const int64_t rows = kBlockFloats / (columns + 1);
  return rows < 4 ? 4 : rows > 256 ? 256 : rows;
}

// Calls body(row, rows) for the blocks of [begin, end).
template <class Body>
inline void for_row_blocks(int64_t begin, int64_t end, int64_t columns, Body&& body) {
  const int64_t block = rows_per_block(columns);
  for (int64_t row = begin; row < end; row += block) body(row, smaller(block, end - row));
}

}  // namespace convoy::CONVOY_ISA
