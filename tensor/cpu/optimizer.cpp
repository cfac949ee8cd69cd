// Optimizer steps over all parameters in one parallel region; each reads and writes its arrays once.
#include <math.h>

#include "tensor/cpu/parallel.h"
#include "tensor/cpu/table.h"

namespace convoy::CONVOY_ISA {
namespace {

constexpr int64_t kChunk = 16384;  // elements

// Calls update(slice, begin, end) for chunks that together cover every slice.
template <class Update>
inline void for_slices(const Stream& stream, std::span<const ParameterSlice> slices, Update&& update) {
  const ParameterSlice* const first = slices.data();
  const ParameterSlice* const last = first + slices.size();
  int64_t chunks = 0;
  for (const ParameterSlice* slice = first; slice != last; ++slice) chunks += (slice->count + kChunk - 1) / kChunk;
  parallel_for(stream, chunks, 1, [=](int64_t chunk, int64_t) {
    const ParameterSlice* slice = first;
    for (int64_t here; chunk >= (here = (slice->count + kChunk - 1) / kChunk); ++slice) chunk -= here;
    const int64_t begin = chunk * kChunk, end = begin + kChunk;
    update(*slice, begin, end < slice->count ? end : slice->count);
  });
}

}  // namespace

void sgd_step(const Stream& stream, const SgdStep& step, std::span<const ParameterSlice> slices) {
  for_slices(stream, slices, [=](const ParameterSlice& slice, int64_t begin, int64_t end) {
    float* __restrict const value = slice.value;
    const float* __restrict const gradient = slice.gradient;
    float* __restrict const first = slice.first;
    if (first == nullptr) {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) value[i] -= step.lr * (gradient[i] + step.weight_decay * value[i]);
      return;
    }
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) {
      const float g = gradient[i] + step.weight_decay * value[i];
      const float velocity = step.momentum * first[i] + g;
      first[i] = velocity;
      value[i] -= step.lr * (step.nesterov ? g + step.momentum * velocity : velocity);
    }
  });
}

void adam_step(const Stream& stream, const AdamStep& step, std::span<const ParameterSlice> slices) {
  const float beta1 = static_cast<float>(step.beta1), new_first = static_cast<float>(1 - step.beta1);
  const float beta2 = static_cast<float>(step.beta2), new_second = static_cast<float>(1 - step.beta2);
  const float rate = step.lr / step.correction1, inverse_root = 1.0f / sqrtf(step.correction2);
  const float coupled = step.decoupled ? 0.0f : step.weight_decay;
  const float shrink = step.decoupled ? 1.0f - step.lr * step.weight_decay : 1.0f;
  for_slices(stream, slices, [=](const ParameterSlice& slice, int64_t begin, int64_t end) {
    float* __restrict const value = slice.value;
    const float* __restrict const gradient = slice.gradient;
    float* __restrict const first = slice.first;
    float* __restrict const second = slice.second;
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) {
      const float g = gradient[i] + coupled * value[i];
      const float m = beta1 * first[i] + new_first * g;
      const float v = beta2 * second[i] + new_second * g * g;
      first[i] = m;
      second[i] = v;
      value[i] = value[i] * shrink - rate * m / (sqrtf(v) * inverse_root + step.epsilon);
    }
  });
}

}  // namespace convoy::CONVOY_ISA
