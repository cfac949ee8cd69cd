// What optimizers do to a run of parameters: adam_step() from a gradient in memory, gemm_adam_step() from one in a cache.
#pragma once

#include <math.h>

#include "tensor/kernels.h"

namespace convoy::CONVOY_ISA {

// What an AdamStep says, as the update takes it.
struct AdamRates {
  float beta1, new_first, beta2, new_second;
  float rate, inverse_root, epsilon;
  float coupled, shrink;  // weight decay: added to the gradient, or taken off the value
  float scale;            // of gradients; not read where they have none
};

inline AdamRates rates_of(const AdamStep& step) {
  return {.beta1 = static_cast<float>(step.beta1),
          .new_first = static_cast<float>(1 - step.beta1),
          .beta2 = static_cast<float>(step.beta2),
          .new_second = static_cast<float>(1 - step.beta2),
          .rate = step.lr / step.correction1,
          .inverse_root = 1.0f / sqrtf(step.correction2),
          .epsilon = step.epsilon,
          .coupled = step.decoupled ? 0.0f : step.weight_decay,
          .shrink = step.decoupled ? 1.0f - step.lr * step.weight_decay : 1.0f,
          .scale = step.gradient_scale != nullptr ? *step.gradient_scale : 1.0f};
}

// A gradient as an optimizer takes it. Where there is no scale it is not multiplied by 1 either: a fused multiply-add
// would then round other terms than without.
template <bool kScaled>
float scaled(float gradient, float scale) {
  return kScaled ? gradient * scale : gradient;
}

template <bool kScaled>
[[gnu::always_inline]] inline void adam_update(const AdamRates& rates, int64_t count, float* __restrict value,
                                               const float* __restrict gradient, float* __restrict first,
                                               float* __restrict second) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const float g = scaled<kScaled>(gradient[i], rates.scale) + rates.coupled * value[i];
    const float m = rates.beta1 * first[i] + rates.new_first * g;
    const float v = rates.beta2 * second[i] + rates.new_second * g * g;
    first[i] = m;
    second[i] = v;
    value[i] = value[i] * rates.shrink - rates.rate * m / (sqrtf(v) * rates.inverse_root + rates.epsilon);
  }
}

}  // namespace convoy::CONVOY_ISA
