// Softmax and cross entropy in one kernel, with the row's maximum subtracted so that no exponential
// overflows.
#include <math.h>

#include "tensor/cpu/parallel.h"
#include "tensor/cpu/table.h"

namespace convoy::CONVOY_ISA {
namespace {

inline int64_t rows_per_chunk(int64_t classes) { return 4096 / (classes + 1) + 1; }

}  // namespace

void softmax_cross_entropy_forward(const Stream& stream, int64_t rows, int64_t classes, const float* logits,
                                   const int32_t* labels, float smoothing, float* probability, float* loss) {
  parallel_for(stream, rows, rows_per_chunk(classes), [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* const x = logits + row * classes;
      float* const p = probability + row * classes;
      float largest = x[0];
      for (int64_t j = 1; j < classes; ++j) largest = x[j] > largest ? x[j] : largest;
      double total = 0, shifted = 0;
      for (int64_t j = 0; j < classes; ++j) {
        p[j] = expf(x[j] - largest);
        total += static_cast<double>(p[j]);
        shifted += static_cast<double>(x[j] - largest);
      }
      const float inverse = static_cast<float>(1.0 / total);
      for (int64_t j = 0; j < classes; ++j) p[j] *= inverse;
      // log(total) - x is -log(p), also where p itself underflows.
      const double log_total = log(total), share = static_cast<double>(smoothing);
      double cost = log_total - (1.0 - share) * static_cast<double>(x[labels[row]] - largest);
      if (smoothing != 0) cost -= share / static_cast<double>(classes) * shifted;
      loss[row] = static_cast<float>(cost);
    }
  });
}

void softmax_cross_entropy_backward(const Stream& stream, int64_t rows, int64_t classes, const float* probability,
                                    const int32_t* labels, float smoothing, const float* dloss, float scale,
                                    bool accumulate, float* dlogits) {
  const float factor = dloss[0] * scale, elsewhere = smoothing / static_cast<float>(classes),
              at_label = elsewhere + 1.0f - smoothing;
  parallel_for(stream, rows, rows_per_chunk(classes), [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t j = 0; j < classes; ++j) {
        const int64_t at = row * classes + j;
        const float gradient = (probability[at] - (j == labels[row] ? at_label : elsewhere)) * factor;
        dlogits[at] = accumulate ? dlogits[at] + gradient : gradient;
      }
    }
  });
}

}  // namespace convoy::CONVOY_ISA
