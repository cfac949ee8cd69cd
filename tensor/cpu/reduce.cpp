// Bias and reductions. Sums are taken over pieces fixed by the shape, then over the pieces in order.
#include "tensor/cpu/matrix.h"
#include "tensor/cpu/table.h"

namespace convoy::CONVOY_ISA {
namespace {

constexpr int64_t kPiece = 16384;  // elements summed into one partial result

// out [columns] = or += the sum over pieces of partial [pieces, columns].
void add_pieces(int64_t pieces, int64_t columns, const float* partial, bool accumulate, float* out) {
  for_summed_columns(columns, [=](int64_t begin, int64_t end) {
    double total[kSummedColumns];
    for (int64_t c = begin; c < end; ++c) total[c - begin] = accumulate ? static_cast<double>(out[c]) : 0.0;
    for (int64_t piece = 0; piece < pieces; ++piece)
      for (int64_t c = begin; c < end; ++c) total[c - begin] += static_cast<double>(partial[piece * columns + c]);
    for (int64_t c = begin; c < end; ++c) out[c] = static_cast<float>(total[c - begin]);
  });
}

double sum_of(int64_t count, const float* x) {
  double total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < count; ++i) total += static_cast<double>(x[i]);
  return total;
}

int32_t count_nonfinite_of(int64_t count, const float* x) {
  int32_t found = 0;
#pragma omp simd reduction(+ : found)
  for (int64_t i = 0; i < count; ++i)
    found += x[i] - x[i] == 0.0f ? 0 : 1;  // infinity and NaN minus themselves are NaN
  return found;
}

}  // namespace

void bias_forward(const Stream& stream, int64_t rows, int64_t columns, const float* x, const float* bias, float* y) {
  parallel_for(stream, rows, cut_rows(rows, columns).rows_per_piece, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
#pragma omp simd
      for (int64_t c = 0; c < columns; ++c) y[row * columns + c] = x[row * columns + c] + bias[c];
    }
  });
}

void column_sum(const Stream& stream, int64_t rows, int64_t columns, const float* x, bool accumulate, float* out) {
  const RowPieces pieces = cut_rows(rows, columns);
  float* const partial = thread_scratch(Scratch::partial, pieces.count * columns);
  parallel_for(stream, rows, pieces.rows_per_piece, [=](int64_t begin, int64_t end) {
    float* const piece = partial + begin / pieces.rows_per_piece * columns;
    for (int64_t c = 0; c < columns; ++c) piece[c] = 0;
    for_row_blocks(begin, end, columns, [=](int64_t row, int64_t count) {
      for_column_blocks(columns, [=]<class Lane, int K>(int64_t c) {
        typename Lane::Value sum[K] = {};
        for (int64_t r = row; r < row + count; ++r)
          for (int i = 0; i < K; ++i) sum[i] += Lane::load(x + r * columns + c + i * Lane::kWidth);
        for (int i = 0; i < K; ++i) {
          float* const s = piece + c + i * Lane::kWidth;
          Lane::store(s, Lane::load(s) + sum[i]);
        }
      });
    });
  });
  add_pieces(pieces.count, columns, partial, accumulate, out);
}

void bias_relu_backward(const Stream& stream, int64_t rows, int64_t columns, const float* y, const float* dy, float* dz,
                        bool accumulate, float* dbias) {
  const RowPieces pieces = cut_rows(rows, columns);
  float* const partial = thread_scratch(Scratch::partial, pieces.count * columns);
  parallel_for(stream, rows, pieces.rows_per_piece, [=](int64_t begin, int64_t end) {
    float* const piece = partial + begin / pieces.rows_per_piece * columns;
    for (int64_t c = 0; c < columns; ++c) piece[c] = 0;
    for_row_blocks(begin, end, columns, [=](int64_t row, int64_t count) {
      for_column_blocks(columns, [=]<class Lane, int K>(int64_t c) {
        using Value = typename Lane::Value;
        Value sum[K] = {};
        for (int64_t r = row; r < row + count; ++r) {
          for (int i = 0; i < K; ++i) {
            const int64_t at = r * columns + c + i * Lane::kWidth;
            const Value kept = gated(Lane::load(dy + at), Lane::load(y + at));
            Lane::store(dz + at, kept);
            sum[i] += kept;
          }
        }
        for (int i = 0; i < K; ++i) {
          float* const s = piece + c + i * Lane::kWidth;
          Lane::store(s, Lane::load(s) + sum[i]);
        }
      });
    });
  });
  if (dbias != nullptr) add_pieces(pieces.count, columns, partial, accumulate, dbias);
}

void sum(const Stream& stream, int64_t count, const float* x, float* out) {
  const int64_t pieces = (count + kPiece - 1) / kPiece;
  double* const partial = reinterpret_cast<double*>(thread_scratch(Scratch::partial, 2 * pieces));
  parallel_for(stream, count, kPiece,
               [=](int64_t begin, int64_t end) { partial[begin / kPiece] = sum_of(end - begin, x + begin); });
  double total = 0;
  for (int64_t piece = 0; piece < pieces; ++piece) total += partial[piece];
  out[0] = static_cast<float>(total);
}

void argmax(const Stream& stream, int64_t rows, int64_t columns, const float* x, int32_t* out) {
  parallel_for(stream, rows, kPiece / (columns + 1) + 1, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* const values = x + row * columns;
      int64_t best = 0;
      for (int64_t c = 1; c < columns; ++c)
        if (values[c] > values[best]) best = c;
      out[row] = static_cast<int32_t>(best);
    }
  });
}

void count_nonfinite(const Stream& stream, int64_t count, const float* x, int32_t* out) {
  const int64_t pieces = (count + kPiece - 1) / kPiece;
  int32_t* const partial = reinterpret_cast<int32_t*>(thread_scratch(Scratch::partial, pieces));
  parallel_for(stream, count, kPiece, [=](int64_t begin, int64_t end) {
    partial[begin / kPiece] = count_nonfinite_of(end - begin, x + begin);
  });
  int32_t found = 0;
  for (int64_t piece = 0; piece < pieces; ++piece) found += partial[piece];
  out[0] = found;
}

}  // namespace convoy::CONVOY_ISA
