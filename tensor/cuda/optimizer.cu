// Optimizer steps over all parameters in few launches; each reads and writes its arrays once.
//
// Work is cut into chunks of 4096 elements over all parameters, a block each, so that large and small ones balance.
#include "tensor/cuda/table.h"
#include "tensor/cuda/vector_access.cuh"

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

// SGD without momentum has no `first`, and with it no `second`.
struct Sgd {
  SgdStep step;

  __device__ void adopt(const StepScalars& scalars) { step.lr = scalars.lr; }

  template <int W>
  __device__ void update(const ParameterSlice& slice, int64_t i) const {
    Vector<W> value = load<W>(slice.value + i), first;
    const Vector<W> gradient = load<W>(slice.gradient + i);
    if (slice.first != nullptr) first = load<W>(slice.first + i);
    for (int j = 0; j < W; ++j) {
      const float g = gradient[j] + step.weight_decay * value[j];
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

  template <int W>
  __device__ void update(const ParameterSlice& slice, int64_t i) const {
    Vector<W> value = load<W>(slice.value + i), first = load<W>(slice.first + i), second = load<W>(slice.second + i);
    const Vector<W> gradient = load<W>(slice.gradient + i);
    const float coupled = decoupled ? 0.0f : weight_decay;
    for (int j = 0; j < W; ++j) {
      const float g = gradient[j] + coupled * value[j];
      first[j] = beta1 * first[j] + new_first * g;
      second[j] = beta2 * second[j] + new_second * g * g;
      value[j] = value[j] * shrink - rate * first[j] / (sqrtf(second[j]) * inverse_root + epsilon);
    }
    store(slice.first + i, first);
    store(slice.second + i, second);
    store(slice.value + i, value);
  }
};

__device__ inline bool aligned_to_16(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % 16 == 0; }

// What a recorded step tells its optimizer; null otherwise.
struct Recorded {
  const StepScalars* scalars;
  const float* finite;
};

// A block per chunk; its threads lie side by side. Moves 12 (SGD), 20 (with momentum) or 28 (Adam) bytes an element.
template <class Rule>
__global__ void __launch_bounds__(kThreads) step_kernel(SliceTable table, Rule rule, Recorded recorded) {
  if (recorded.finite != nullptr && *recorded.finite - *recorded.finite != 0.0f) return;  // infinite or NaN
  if (recorded.scalars != nullptr) rule.adopt(*recorded.scalars);
  int low = 0, high = table.count;  // the last slice that starts at or before this chunk is in [low, high)
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (table.chunks_before[middle] <= blockIdx.x ? low : high) = middle;
  }
  const ParameterSlice slice = table.slices[low];
  const int64_t begin = (blockIdx.x - table.chunks_before[low]) * kChunk;
  const int64_t end = begin + kChunk < slice.count ? begin + kChunk : slice.count;
  int64_t done = begin;
  if (aligned_to_16(slice.value) && aligned_to_16(slice.gradient) && aligned_to_16(slice.first) &&
      aligned_to_16(slice.second)) {
    done = end - (end - begin) % 4;
#pragma unroll 2
    for (int64_t i = begin + 4 * threadIdx.x; i < done; i += 4 * kThreads) rule.template update<4>(slice, i);
  }
  for (int64_t i = done + threadIdx.x; i < end; i += kThreads) rule.template update<1>(slice, i);
}

template <class Rule>
void step_all(const char* name, const Stream& stream, std::span<const ParameterSlice> slices, const Rule& rule) {
  SliceTable table;
  unsigned chunks = 0;
  const auto flush = [&] {
    table.chunks_before[table.count] = chunks;
    launch(name, stream, {.blocks = dim3(chunks), .threads = kThreads}, step_kernel<Rule>, table, rule,
           Recorded{stream.scalars, stream.finite});
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

}  // namespace

void sgd_step(const Stream& stream, const SgdStep& step, std::span<const ParameterSlice> slices) {
  step_all("sgd_step", stream, slices, Sgd{step});
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
  step_all("adam_step", stream, slices, adam);
}

}  // namespace convoy::cuda
