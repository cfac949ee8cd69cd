// Optimizer steps over all parameters in few launches; each reads and writes its arrays once.
//
// Work is cut into chunks of 4096 elements over all parameters, a block each, so that large and small ones balance.
#include "tensor/cuda/block_reduce.cuh"
#include "tensor/cuda/table.h"
#include "tensor/cuda/vector_access.cuh"
#include "tensor/memory_pool.h"

namespace convoy::cuda {
namespace {

constexpr int64_t kChunk = 4096;
constexpr int kThreads = 256;
constexpr int kSlicesPerLaunch = 64;  // kernel parameters are at most 4 KiB

struct SliceTable {
  ParameterSlice slices[kSlicesPerLaunch];
  unsigned chunks_before[kSlicesPerLaunch + 1];  // of each slice in this launch; then their number
  int count = 0;
};

// A gradient as an optimizer takes it. Where there is no scale it is not multiplied by 1 either: a fused multiply-add
// would then round other terms than without.
template <bool kScaled>
__device__ inline float scaled(float gradient, float scale) {
  return kScaled ? gradient * scale : gradient;
}

// SGD without momentum has no `first`, and with it no `second`.
struct Sgd {
  SgdStep step;

  __device__ void adopt(const StepScalars& scalars) { step.lr = scalars.lr; }

  template <int W, bool kScaled>
  __device__ void update(const ParameterSlice& slice, int64_t i, float scale) const {
    Vector<W> value = load<W>(slice.value + i), first;
    const Vector<W> gradient = load<W>(slice.gradient + i);
    if (slice.first != nullptr) first = load<W>(slice.first + i);
    for (int j = 0; j < W; ++j) {
      const float g = scaled<kScaled>(gradient[j], scale) + step.weight_decay * value[j];
      float direction = g;
      if (slice.first != nullptr) {
        first[j] = step.momentum * first[j] + g;
        direction = step.nesterov ? g + step.momentum * first[j] : first[j];
      }
      value[j] -= step.lr * direction;
    }
    if (slice.first != nullptr) store(slice.first + i, first);
    store(slice.value + i, value);
  }
};

struct Adam {
  float beta1, new_first, beta2, new_second;
  float epsilon, weight_decay;
  bool decoupled;
  float rate = 0, inverse_root = 0, shrink = 1;  // of this step

  CONVOY_HOST_DEVICE void adopt(const StepScalars& scalars) {
    rate = scalars.lr / scalars.correction1;
    inverse_root = 1.0f / sqrtf(scalars.correction2);
    if (decoupled) shrink = 1.0f - scalars.lr * weight_decay;
  }

  template <int W, bool kScaled>
  __device__ void update(const ParameterSlice& slice, int64_t i, float scale) const {
    Vector<W> value = load<W>(slice.value + i), first = load<W>(slice.first + i), second = load<W>(slice.second + i);
    const Vector<W> gradient = load<W>(slice.gradient + i);
    const float coupled = decoupled ? 0.0f : weight_decay;
    for (int j = 0; j < W; ++j) {
      const float g = scaled<kScaled>(gradient[j], scale) + coupled * value[j];
      first[j] = beta1 * first[j] + new_first * g;
      second[j] = beta2 * second[j] + new_second * g * g;
      value[j] = value[j] * shrink - rate * first[j] / (sqrtf(second[j]) * inverse_root + epsilon);
    }
    store(slice.first + i, first);
    store(slice.second + i, second);
    store(slice.value + i, value);
  }
};

// The moving average of the values lies in `first`.
struct Average {
  float rate;

  __device__ void adopt(const StepScalars&) {}

  template <int W, bool kScaled>
  __device__ void update(const ParameterSlice& slice, int64_t i, float) const {
    const Vector<W> value = load<W>(slice.value + i);
    Vector<W> average = load<W>(slice.first + i);
    for (int j = 0; j < W; ++j) average[j] += rate * (value[j] - average[j]);
    store(slice.first + i, average);
  }
};

__device__ inline bool aligned_to_16(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % 16 == 0; }

// Part of one parameter: what a block works on.
struct Chunk {
  ParameterSlice slice;
  int64_t begin, end;
};

__device__ inline Chunk chunk_of_block(const SliceTable& table) {
  int low = 0, high = table.count;  // the last slice that starts at or before this chunk is in [low, high)
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (table.chunks_before[middle] <= blockIdx.x ? low : high) = middle;
  }
  const ParameterSlice slice = table.slices[low];
  const int64_t begin = (blockIdx.x - table.chunks_before[low]) * kChunk;
  return {slice, begin, begin + kChunk < slice.count ? begin + kChunk : slice.count};
}

// What an optimizer reads from the device's memory; each may be null.
struct OnDevice {
  const StepScalars* scalars;   // of a recorded step,
  const float* finite;          // likewise
  const float* gradient_scale;  // [1]
};

// A block per chunk; its threads lie side by side. Moves 12 (SGD, averages), 20 (with momentum) or 28 (Adam) bytes an
// element.
template <class Rule, bool kScaled>
__global__ void __launch_bounds__(kThreads) step_kernel(SliceTable table, Rule rule, OnDevice from) {
  if (from.finite != nullptr && *from.finite - *from.finite != 0.0f) return;  // infinite or NaN
  if (from.scalars != nullptr) rule.adopt(*from.scalars);
  const float scale = kScaled ? *from.gradient_scale : 1.0f;
  const auto [slice, begin, end] = chunk_of_block(table);
  int64_t done = begin;
  if (aligned_to_16(slice.value) && aligned_to_16(slice.gradient) && aligned_to_16(slice.first) &&
      aligned_to_16(slice.second)) {
    done = end - (end - begin) % 4;
#pragma unroll 2
    for (int64_t i = begin + 4 * threadIdx.x; i < done; i += 4 * kThreads)
      rule.template update<4, kScaled>(slice, i, scale);
  }
  for (int64_t i = done + threadIdx.x; i < end; i += kThreads) rule.template update<1, kScaled>(slice, i, scale);
}

// partial [chunks] = the sum of the squares of each chunk's gradients. A block per chunk; reads 4 bytes an element.
__global__ void __launch_bounds__(kThreads) squares_kernel(SliceTable table, double* __restrict__ partial) {
  const auto [slice, begin, end] = chunk_of_block(table);
  Sums<double, 1> sum;
  for (int64_t i = begin + threadIdx.x; i < end; i += kThreads) {
    const double gradient = static_cast<double>(slice.gradient[i]);
    sum.v[0] += gradient * gradient;
  }
  merge_down_columns(sum, 1);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum.v[0];
}

// scale [1] from partial [chunks]. One block.
__global__ void __launch_bounds__(kThreads)
    clip_scale_kernel(int64_t chunks, const double* __restrict__ partial, float max_norm, float* __restrict__ scale) {
  Sums<double, 1> sum;
  for (int64_t chunk = threadIdx.x; chunk < chunks; chunk += kThreads) sum.v[0] += partial[chunk];
  merge_down_columns(sum, 1);
  if (threadIdx.x != 0) return;
  const double wanted = static_cast<double>(max_norm) / (sqrt(sum.v[0]) + 1e-6);
  scale[0] = static_cast<float>(wanted > 1 ? 1 : wanted);
}

// Calls use(table, chunks) for tables that together hold all slices.
template <class Use>
void for_tables(std::span<const ParameterSlice> slices, const Use& use) {
  SliceTable table;
  unsigned chunks = 0;
  const auto flush = [&] {
    table.chunks_before[table.count] = chunks;
    use(table, chunks);
    table.count = 0;
    chunks = 0;
  };
  for (const ParameterSlice& slice : slices) {
    if (slice.count == 0) continue;
    if (table.count == kSlicesPerLaunch) flush();
    table.slices[table.count] = slice;
    table.chunks_before[table.count++] = chunks;
    chunks += static_cast<unsigned>((slice.count + kChunk - 1) / kChunk);
  }
  flush();
}

template <class Rule>
void step_all(const char* name, const Stream& stream, std::span<const ParameterSlice> slices, const Rule& rule,
              const float* gradient_scale) {
  for_tables(slices, [&](const SliceTable& table, unsigned chunks) {
    const auto kernel = gradient_scale == nullptr ? step_kernel<Rule, false> : step_kernel<Rule, true>;
    launch(name, stream, {.blocks = dim3(chunks), .threads = kThreads}, kernel, table, rule,
           OnDevice{stream.scalars, stream.finite, gradient_scale});
  });
}

}  // namespace

void sgd_step(const Stream& stream, const SgdStep& step, std::span<const ParameterSlice> slices) {
  step_all("sgd_step", stream, slices, Sgd{step}, step.gradient_scale);
}

void adam_step(const Stream& stream, const AdamStep& step, std::span<const ParameterSlice> slices) {
  Adam adam{.beta1 = static_cast<float>(step.beta1),
            .new_first = static_cast<float>(1 - step.beta1),
            .beta2 = static_cast<float>(step.beta2),
            .new_second = static_cast<float>(1 - step.beta2),
            .epsilon = step.epsilon,
            .weight_decay = step.weight_decay,
            .decoupled = step.decoupled};
  adam.adopt({.lr = step.lr, .correction1 = step.correction1, .correction2 = step.correction2});
  step_all("adam_step", stream, slices, adam, step.gradient_scale);
}

void clip_scale(const Stream& stream, float max_norm, std::span<const ParameterSlice> slices, float* scale) {
  int64_t chunks = 0;
  for_tables(slices, [&](const SliceTable&, unsigned here) { chunks += here; });
  const auto scratch = pool_allocate(stream.device, chunks * static_cast<int64_t>(sizeof(double)));
  double* const partial = reinterpret_cast<double*>(scratch.get());
  const unsigned shared_bytes = kThreads * sizeof(Sums<double, 1>);
  int64_t before = 0;
  for_tables(slices, [&](const SliceTable& table, unsigned here) {
    launch("squares", stream, {.blocks = dim3(here), .threads = kThreads, .shared_bytes = shared_bytes}, squares_kernel,
           table, partial + before);
    before += here;
  });
  launch("clip_scale", stream, {.blocks = dim3(1), .threads = kThreads, .shared_bytes = shared_bytes},
         clip_scale_kernel, chunks, partial, max_norm, scale);
}

void average_step(const Stream& stream, float rate, std::span<const ParameterSlice> slices) {
  step_all("average_step", stream, slices, Average{rate}, nullptr);
}

}  // namespace convoy::cuda
