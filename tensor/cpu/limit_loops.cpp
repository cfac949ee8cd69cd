#include "tensor/cpu/limit_loops.h"

#include "tensor/cpu/microkernel.h"

namespace convoy::CONVOY_ISA {
namespace {

// Enough sums that do not wait for each other: an instruction's latency is some 4 cycles, of which two or more may begin in
// each; a multiplication and an addition apart take twice as long. With their two factors they fit in 16 registers.
constexpr int kSums = 12;

// sum = sum * factor + term, which comes to term / (1 - factor) and stays there: neither infinite nor denormal. The compiler must not
// know that, or a sum that begins there is no work for it.
float fma(int64_t steps) {
  volatile float half = 0.5f, one = 1.0f;
  Vector sum[kSums];
  for (int i = 0; i < kSums; ++i) sum[i] = broadcast(static_cast<float>(i));
  const Vector factor = broadcast(half), term = broadcast(one);
  for (int64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) sum[i] = sum[i] * factor + term;
  }
  Vector all{};
  for (int i = 0; i < kSums; ++i) all += sum[i];
  return all[0];
}

float read(int64_t count, const float* x) {
  Vector sum[4] = {};
  int64_t i = 0;
  for (; i + 4 * kVectorFloats <= count; i += 4 * kVectorFloats) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) sum[v] += load(x + i + v * kVectorFloats);
  }
  float rest = 0;
  for (; i < count; ++i) rest += x[i];
  const Vector all = sum[0] + sum[1] + (sum[2] + sum[3]);
  for (int lane = 0; lane < kVectorFloats; ++lane) rest += all[lane];
  return rest;
}

void copy(int64_t count, const float* from, float* to) {
  int64_t i = 0;
  for (; i + kVectorFloats <= count; i += kVectorFloats) store(to + i, load(from + i));
  for (; i < count; ++i) to[i] = from[i];
}

void update(int64_t count, float* x) {
  const Vector minus_one = broadcast(-1.0f);
  int64_t i = 0;
  for (; i + kVectorFloats <= count; i += kVectorFloats) store(x + i, load(x + i) * minus_one);
  for (; i < count; ++i) x[i] *= -1.0f;
}

}  // namespace

const LimitLoops kLimitLoops = {
    .name = kIsaName, .multiply_adds = kSums * kVectorFloats, .fma = fma, .read = read, .copy = copy, .update = update};

}  // namespace convoy::CONVOY_ISA
