// The results of the splits of a product's k, added up in their order; then the epilogue.
#pragma once

#include "tensor/cpu/pack.h"
#include "tensor/cpu/parallel.h"
#include "tensor/kernels.h"

namespace convoy::CONVOY_ISA {

// c [m,n] = or += the sum over splits of partial [split, m, n].
inline void add_splits(const Stream& stream, int64_t m, int64_t n, int64_t splits, const float* partial,
                       const Epilogue& epilogue, bool accumulate, float* c) {
  const float* const gate = epilogue.gate;
  parallel_for(stream, m, larger(1, 16384 / larger(n * splits, 1)), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float* const row = c + i * n;  // stays in the cache while whole rows of the splits stream by
      for (int64_t s = 0; s < splits; ++s) {
        const float* const part = partial + (s * m + i) * n;
        const bool overwrite = s == 0 && !accumulate;
        for (int64_t j = 0; j < n; ++j)
          row[j] = (overwrite ? 0.0f : row[j]) + (gate != nullptr ? gated(part[j], gate[i * n + j]) : part[j]);
      }
      for (int64_t j = 0; j < n; ++j) {
        const float sum = epilogue.bias != nullptr ? row[j] + epilogue.bias[j] : row[j];
        row[j] = epilogue.relu ? Relu::value(sum) : sum;
      }
    }
  });
}

// c [m,n] = or += the transposed sum over splits of partial [split, n, m].
inline void add_splits_transposed(const Stream& stream, int64_t m, int64_t n, int64_t splits, const float* partial,
                                  const Epilogue& epilogue, bool accumulate, float* c) {
  constexpr int64_t kTile = 16;
  parallel_for(stream, n, kTile, [&](int64_t begin, int64_t end) {
    for (int64_t row = 0; row < m; row += kTile) {
      const int64_t rows = smaller(kTile, m - row);
      float sums[kTile][kTile] = {};
      for (int64_t split = 0; split < splits; ++split) {
        for (int64_t j = begin; j < end; ++j) {
          const float* const from = partial + (split * n + j) * m + row;
          for (int64_t i = 0; i < rows; ++i) sums[j - begin][i] += from[i];
        }
      }
      for (int64_t i = 0; i < rows; ++i) {
        float* const to = c + (row + i) * n;
        for (int64_t j = begin; j < end; ++j) {
          float sum = sums[j - begin][i];
          if (epilogue.gate != nullptr) sum = gated(sum, epilogue.gate[(row + i) * n + j]);
          if (accumulate) sum += to[j];
          if (epilogue.bias != nullptr) sum += epilogue.bias[j];
          to[j] = epilogue.relu ? Relu::value(sum) : sum;
        }
      }
    }
  });
}

}  // namespace convoy::CONVOY_ISA
