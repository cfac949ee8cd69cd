// Batch normalisation over [rows, channels]. Ioffe, Szegedy, "Batch Normalization", 2015.
//
// Statistics and gradients are single passes over memory: rows stream through blocks that fit the first-level
// cache, per-channel sums stay in registers, and the results of fixed pieces of rows are merged in order.
#include <math.h>

#include "tensor/cpu/batch_norm_terms.h"
#include "tensor/cpu/matrix.h"
#include "tensor/cpu/table.h"

namespace convoy::CONVOY_ISA {
namespace {

// Mean and M2 (sum of squared distances from the mean) of one block of rows, merged into those of the rows
// before it in the piece (Chan, Golub, LeVeque 1979). Means are kept relative to `shift`, so that a large
// common offset costs no digits.
template <class Lane, int K>
inline void merge_block(int64_t rows, int64_t channels, const float* x, const float* shift, int64_t rows_before,
                        float* mean, float* m2) {
  using Value = typename Lane::Value;
  Value offset[K], block_mean[K], block_m2[K];
  for (int i = 0; i < K; ++i) {
    offset[i] = Lane::load(shift + i * Lane::kWidth);
    block_mean[i] = block_m2[i] = Value{};
  }
  for (int64_t r = 0; r < rows; ++r)
    for (int i = 0; i < K; ++i) block_mean[i] += Lane::load(x + r * channels + i * Lane::kWidth) - offset[i];
  const float inverse = 1.0f / static_cast<float>(rows);
  for (int i = 0; i < K; ++i) block_mean[i] *= inverse;
  for (int64_t r = 0; r < rows; ++r) {
    for (int i = 0; i < K; ++i) {
      const Value d = Lane::load(x + r * channels + i * Lane::kWidth) - offset[i] - block_mean[i];
      block_m2[i] += d * d;
    }
  }
  const float share = static_cast<float>(rows) / static_cast<float>(rows_before + rows);
  const float weight = share * static_cast<float>(rows_before);
  for (int i = 0; i < K; ++i) {
    float* const m = mean + i * Lane::kWidth;
    float* const s = m2 + i * Lane::kWidth;
    const Value delta = block_mean[i] - Lane::load(m);
    Lane::store(m, Lane::load(m) + delta * share);
    Lane::store(s, Lane::load(s) + block_m2[i] + delta * delta * weight);
  }
}

}  // namespace

void batch_norm_statistics(const Stream& stream, int64_t rows, int64_t channels, const float* x, float* mean,
                           float* variance) {
  const RowPieces pieces = cut_rows(rows, channels);
  float* const partial = thread_scratch(Scratch::partial, pieces.count * 2 * channels);  // [piece][mean, M2][channels]
  parallel_for(stream, rows, pieces.rows_per_piece, [=](int64_t begin, int64_t end) {
    float* const piece_mean = partial + begin / pieces.rows_per_piece * 2 * channels;
    float* const piece_m2 = piece_mean + channels;
    for (int64_t i = 0; i < 2 * channels; ++i) piece_mean[i] = 0;
    for_row_blocks(begin, end, channels, [=](int64_t row, int64_t count) {
      for_column_blocks(channels, [=]<class Lane, int K>(int64_t c) {
        merge_block<Lane, K>(count, channels, x + row * channels + c, x + c, row - begin, piece_mean + c, piece_m2 + c);
      });
    });
  });
  for_summed_columns(channels, [=](int64_t begin, int64_t end) {
    double total_mean[kSummedColumns] = {}, total_m2[kSummedColumns] = {};
    for (int64_t piece = 0; piece < pieces.count; ++piece) {
      const int64_t before = piece * pieces.rows_per_piece, here = smaller(rows - before, pieces.rows_per_piece);
      const double share = static_cast<double>(here) / static_cast<double>(before + here);
      const double weight = share * static_cast<double>(before);
      const float* const piece_mean = partial + piece * 2 * channels + begin;
      for (int64_t c = 0; c < end - begin; ++c) {
        const double delta = static_cast<double>(piece_mean[c]) - total_mean[c];
        total_mean[c] += delta * share;
        total_m2[c] += static_cast<double>(piece_mean[channels + c]) + delta * delta * weight;
      }
    }
    for (int64_t c = begin; c < end; ++c) {
      const double m = total_mean[c - begin], m2 = total_m2[c - begin];
      mean[c] = rows == 0 ? 0.0f : static_cast<float>(static_cast<double>(x[c]) + m);
      variance[c] = rows == 0 ? 0.0f : static_cast<float>(m2 / static_cast<double>(rows));
    }
  });
}

void batch_norm_normalize(const Stream& stream, int64_t rows, int64_t channels, const float* x, const float* mean,
                          const float* variance, float epsilon, const float* gamma, const float* beta, bool relu,
                          float* y) {
  const NormFactors factors =
      norm_factors(channels, mean, variance, epsilon, gamma, beta, thread_scratch(Scratch::partial, channels));
  parallel_for(stream, rows, cut_rows(rows, channels).rows_per_piece, [=](int64_t begin, int64_t end) {
    for_row_blocks(begin, end, channels, [=](int64_t row, int64_t count) {
      for_column_blocks(channels, [=]<class Lane, int K>(int64_t c) {
        Normaliser<Lane> norm[K];
        for (int i = 0; i < K; ++i) norm[i] = {factors, c + i * Lane::kWidth};
        for (int64_t r = row; r < row + count; ++r) {
          for (int i = 0; i < K; ++i) {
            const int64_t at = r * channels + c + i * Lane::kWidth;
            Lane::store(y + at, norm[i].forward(Lane::load(x + at), relu));
          }
        }
      });
    });
  });
}

void batch_norm_backward_reduce(const Stream& stream, int64_t rows, int64_t channels, const float* x, const float* dy,
                                const float* mean, const float* variance, float epsilon, const float* gamma,
                                const float* beta, bool relu, float* dgamma, float* dbeta) {
  const RowPieces pieces = cut_rows(rows, channels);
  float* const multiplier = thread_scratch(Scratch::partial, (2 * pieces.count + 1) * channels);
  float* const partial = multiplier + channels;  // [piece][sum dz * (x - mean), sum dz][channels]
  const NormFactors factors = norm_factors(channels, mean, variance, epsilon, gamma, beta, multiplier);
  parallel_for(stream, rows, pieces.rows_per_piece, [=](int64_t begin, int64_t end) {
    float* const piece_gamma = partial + begin / pieces.rows_per_piece * 2 * channels;
    float* const piece_beta = piece_gamma + channels;
    for (int64_t i = 0; i < 2 * channels; ++i) piece_gamma[i] = 0;
    for_row_blocks(begin, end, channels, [=](int64_t row, int64_t count) {
      for_column_blocks(channels, [=]<class Lane, int K>(int64_t c) {
        using Value = typename Lane::Value;
        Normaliser<Lane> norm[K];
        Value sum_gamma[K], sum_beta[K];
        for (int i = 0; i < K; ++i) {
          norm[i] = {factors, c + i * Lane::kWidth};
          sum_gamma[i] = sum_beta[i] = Value{};
        }
        for (int64_t r = row; r < row + count; ++r) {
          for (int i = 0; i < K; ++i) {
            const int64_t at = r * channels + c + i * Lane::kWidth;
            const Value centred = Lane::load(x + at) - norm[i].mean;
            const Value dz = norm[i].gate(centred, Lane::load(dy + at), relu);
            sum_gamma[i] += dz * centred;
            sum_beta[i] += dz;
          }
        }
        for (int i = 0; i < K; ++i) {
          float* const g = piece_gamma + c + i * Lane::kWidth;
          float* const s = piece_beta + c + i * Lane::kWidth;
          Lane::store(g, Lane::load(g) + sum_gamma[i]);
          Lane::store(s, Lane::load(s) + sum_beta[i]);
        }
      });
    });
  });
  for_summed_columns(channels, [=](int64_t begin, int64_t end) {
    double total_gamma[kSummedColumns] = {}, total_beta[kSummedColumns] = {};
    for (int64_t piece = 0; piece < pieces.count; ++piece) {
      const float* const piece_gamma = partial + piece * 2 * channels + begin;
      for (int64_t c = 0; c < end - begin; ++c) {
        total_gamma[c] += static_cast<double>(piece_gamma[c]);
        total_beta[c] += static_cast<double>(piece_gamma[channels + c]);
      }
    }
    for (int64_t c = begin; c < end; ++c) {
      dgamma[c] = static_cast<float>(total_gamma[c - begin] /
                                     sqrt(static_cast<double>(variance[c]) + static_cast<double>(epsilon)));
      dbeta[c] = static_cast<float>(total_beta[c - begin]);
    }
  });
}

void batch_norm_backward_input(const Stream& stream, int64_t rows, int64_t channels, int64_t total_rows, const float* x,
                               const float* dy, const float* mean, const float* variance, float epsilon,
                               const float* gamma, const float* beta, bool relu, const float* dgamma,
                               const float* dbeta, bool accumulate, float* dx) {
  if (rows == 0) return;
  const NormGradientFactors factors =
      norm_gradient_factors(channels, total_rows, mean, variance, epsilon, gamma, beta, dgamma, dbeta,
                            thread_scratch(Scratch::partial, 3 * channels));
  parallel_for(stream, rows, cut_rows(rows, channels).rows_per_piece, [=](int64_t begin, int64_t end) {
    for_row_blocks(begin, end, channels, [=](int64_t row, int64_t count) {
      for_column_blocks(channels, [=]<class Lane, int K>(int64_t c) {
        NormGradient<Lane> norm[K];
        for (int i = 0; i < K; ++i) norm[i] = {factors, c + i * Lane::kWidth};
        for (int64_t r = row; r < row + count; ++r) {
          for (int i = 0; i < K; ++i) {
            const int64_t at = r * channels + c + i * Lane::kWidth;
            const typename Lane::Value result = norm[i].backward(Lane::load(x + at), Lane::load(dy + at), relu);
            Lane::store(dx + at, accumulate ? result + Lane::load(dx + at) : result);
          }
        }
      });
    });
  });
}

void batch_norm_update_running(const Stream&, int64_t rows, int64_t channels, float momentum, const float* mean,
                               const float* variance, float* running_mean, float* running_variance) {
  const float unbiased = rows > 1 ? static_cast<float>(rows) / static_cast<float>(rows - 1) : 1.0f;
  for (int64_t c = 0; c < channels; ++c) {
    running_mean[c] = (1 - momentum) * running_mean[c] + momentum * mean[c];
    running_variance[c] = (1 - momentum) * running_variance[c] + momentum * unbiased * variance[c];
  }
}

}  // namespace convoy::CONVOY_ISA
