// Optimizer steps over all parameters in one parallel region; each reads and writes its arrays once.
#include <math.h>

#include "tensor/cpu/parallel.h"
#include "tensor/cpu/parameter_update.h"
#include "tensor/cpu/table.h"

namespace convoy::CONVOY_ISA {
namespace {

constexpr int64_t kChunk = 16384;  // elements

int64_t chunks_of(const ParameterSlice& slice) { return (slice.count + kChunk - 1) / kChunk; }

int64_t chunks_of(std::span<const ParameterSlice> slices) {
  int64_t chunks = 0;
  for (size_t i = 0; i < slices.size(); ++i) chunks += chunks_of(slices.data()[i]);
  return chunks;
}

// Calls update(slice, begin, end, chunk) for chunks that together cover every slice.
template <class Update>
inline void for_slices(const Stream& stream, std::span<const ParameterSlice> slices, Update&& update) {
  const ParameterSlice* const first = slices.data();
  parallel_for(stream, chunks_of(slices), 1, [=](int64_t chunk, int64_t) {
    const ParameterSlice* slice = first;
    int64_t in_slice = chunk;
    for (int64_t here; in_slice >= (here = chunks_of(*slice)); ++slice) in_slice -= here;
    const int64_t begin = in_slice * kChunk, end = begin + kChunk;
    update(*slice, begin, end < slice->count ? end : slice->count, chunk);
  });
}

template <bool kScaled>
void sgd_steps(const Stream& stream, const SgdStep& step, std::span<const ParameterSlice> slices) {
  const float scale = kScaled ? *step.gradient_scale : 1.0f;
  for_slices(stream, slices, [=](const ParameterSlice& slice, int64_t begin, int64_t end, int64_t) {
    float* __restrict const value = slice.value;
    const float* __restrict const gradient = slice.gradient;
    float* __restrict const first = slice.first;
    if (first == nullptr) {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i)
        value[i] -= step.lr * (scaled<kScaled>(gradient[i], scale) + step.weight_decay * value[i]);
      return;
    }
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) {
      const float g = scaled<kScaled>(gradient[i], scale) + step.weight_decay * value[i];
      const float velocity = step.momentum * first[i] + g;
      first[i] = velocity;
      value[i] -= step.lr * (step.nesterov ? g + step.momentum * velocity : velocity);
    }
  });
}

template <bool kScaled>
void adam_steps(const Stream& stream, const AdamStep& step, std::span<const ParameterSlice> slices) {
  const AdamRates rates = rates_of(step);
  for_slices(stream, slices, [=](const ParameterSlice& slice, int64_t begin, int64_t end, int64_t) {
    float *const value = slice.value, *const first = slice.first, *const second = slice.second;
    const float* const gradient = slice.gradient;
    constexpr int64_t kBlock = 64, kAhead = 512, kLine = 16;
    for (int64_t block = begin; block < end; block += kBlock) {
      // At the end of a page the processor does not foresee where four arrays go on, three of them also written.
      for (int64_t i = block + kAhead; i < block + kAhead + kBlock; i += kLine) {
        __builtin_prefetch(value + i, 1);
        __builtin_prefetch(gradient + i);
        __builtin_prefetch(first + i, 1);
        __builtin_prefetch(second + i, 1);
      }
      adam_update<kScaled>(rates, block + kBlock < end ? kBlock : end - block, value + block, gradient + block,
                           first + block, second + block);
    }
  });
}

}  // namespace

void sgd_step(const Stream& stream, const SgdStep& step, std::span<const ParameterSlice> slices) {
  step.gradient_scale == nullptr ? sgd_steps<false>(stream, step, slices) : sgd_steps<true>(stream, step, slices);
}

void adam_step(const Stream& stream, const AdamStep& step, std::span<const ParameterSlice> slices) {
  step.gradient_scale == nullptr ? adam_steps<false>(stream, step, slices) : adam_steps<true>(stream, step, slices);
}

void clip_scale(const Stream& stream, float max_norm, std::span<const ParameterSlice> slices, float* scale) {
  const int64_t chunks = chunks_of(slices);
  double* const partial = reinterpret_cast<double*>(thread_scratch(Scratch::partial, 2 * chunks));
  for_slices(stream, slices, [=](const ParameterSlice& slice, int64_t begin, int64_t end, int64_t chunk) {
    double squares = 0;
#pragma omp simd reduction(+ : squares)
    for (int64_t i = begin; i < end; ++i)
      squares += static_cast<double>(slice.gradient[i]) * static_cast<double>(slice.gradient[i]);
    partial[chunk] = squares;
  });
  double squares = 0;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) squares += partial[chunk];
  const double wanted = static_cast<double>(max_norm) / (sqrt(squares) + 1e-6);
  *scale = static_cast<float>(wanted > 1 ? 1 : wanted);
}

void average_step(const Stream& stream, float rate, std::span<const ParameterSlice> slices) {
  for_slices(stream, slices, [=](const ParameterSlice& slice, int64_t begin, int64_t end, int64_t) {
    const float* __restrict const value = slice.value;
    float* __restrict const average = slice.first;
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) average[i] += rate * (value[i] - average[i]);
  });
}

}  // namespace convoy::CONVOY_ISA
