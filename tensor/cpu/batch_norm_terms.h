// What batch normalisation does to a pixel: the factors of its channels, and the arithmetic, written once so that every kernel
// that does it gives the same bits.
#pragma once

#include <math.h>

#include "tensor/cpu/lanes.h"

namespace convoy::CONVOY_ISA {

// [channels] each; from(c) is what is left of them without the channels before c.
struct NormFactors {
  const float *mean, *multiplier, *beta;
  NormFactors from(int64_t c) const { return {mean + c, multiplier + c, beta + c}; }
};
struct NormGradientFactors : NormFactors {
  const float *constant, *slope;
  NormGradientFactors from(int64_t c) const { return {NormFactors::from(c), constant + c, slope + c}; }
};

// What (x - mean) is multiplied by goes to `multiplier` [channels].
inline NormFactors norm_factors(int64_t channels, const float* mean, const float* variance, float epsilon,
                                const float* gamma, const float* beta, float* multiplier) {
  for (int64_t c = 0; c < channels; ++c) multiplier[c] = gamma[c] / sqrtf(variance[c] + epsilon);
  return {mean, multiplier, beta};
}

// Also what turns dz into dx, for gradients of gamma and beta that are sums over total_rows; all of it to `memory` [3][channels].
inline NormGradientFactors norm_gradient_factors(int64_t channels, int64_t total_rows, const float* mean,
                                                 const float* variance, float epsilon, const float* gamma,
                                                 const float* beta, const float* dgamma, const float* dbeta,
                                                 float* memory) {
  const NormFactors forward = norm_factors(channels, mean, variance, epsilon, gamma, beta, memory);
  float *const constant = memory + channels, *const slope = constant + channels;
  const float inverse_rows = 1.0f / static_cast<float>(total_rows);
  for (int64_t c = 0; c < channels; ++c) {
    constant[c] = forward.multiplier[c] * dbeta[c] * inverse_rows;
    slope[c] = forward.multiplier[c] * dgamma[c] * inverse_rows / sqrtf(variance[c] + epsilon);
  }
  return {forward, constant, slope};
}

// The factors of one run of channels.
template <class Lane>
struct Normaliser {
  using Value = typename Lane::Value;
  Value mean, multiplier, beta;

  Normaliser() = default;
  Normaliser(const NormFactors& factors, int64_t c)
      : mean(Lane::load(factors.mean + c)),
        multiplier(Lane::load(factors.multiplier + c)),
        beta(Lane::load(factors.beta + c)) {}

  [[gnu::always_inline]] Value forward(Value x, bool with_relu) const {
    const Value z = (x - mean) * multiplier + beta;
    return with_relu ? relu(z) : z;
  }
  // dy, through the ReLU after z.
  [[gnu::always_inline]] Value gate(Value centred, Value dy, bool with_relu) const {
    return with_relu ? gated(dy, centred * multiplier + beta) : dy;
  }
};

template <class Lane>
struct NormGradient : Normaliser<Lane> {
  using Value = typename Lane::Value;
  Value constant, slope;

  NormGradient() = default;
  NormGradient(const NormGradientFactors& factors, int64_t c)
      : Normaliser<Lane>(factors, c),
        constant(Lane::load(factors.constant + c)),
        slope(Lane::load(factors.slope + c)) {}

  [[gnu::always_inline]] Value backward(Value x, Value dy, bool with_relu) const {
    const Value centred = x - this->mean;
    return this->gate(centred, dy, with_relu) * this->multiplier - constant - centred * slope;
  }
};

}  // namespace convoy::CONVOY_ISA
