// Elementwise kernels: the formulas of functions.h over contiguous arrays.
#include "tensor/cpu/parallel.h"
#include "tensor/cpu/table.h"

namespace convoy::CONVOY_ISA {
namespace {

constexpr int64_t kGrain = 16384;  // elements per chunk: 64 KiB an array

template <class F>
void unary_forward_of(const Stream& stream, int64_t count, const float* x, float* y) {
  parallel_for(stream, count, kGrain, [=](int64_t begin, int64_t end) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) y[i] = F::value(x[i]);
  });
}

template <class F>
void unary_backward_of(const Stream& stream, int64_t count, const float* x, const float* dy, bool accumulate,
                       float* dx) {
  parallel_for(stream, count, kGrain, [=](int64_t begin, int64_t end) {
    if (accumulate) {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) dx[i] += dy[i] * F::derivative(x[i]);
    } else {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) dx[i] = dy[i] * F::derivative(x[i]);
    }
  });
}

template <class F>
void binary_forward_of(const Stream& stream, int64_t count, const float* a, const float* b, float* y) {
  parallel_for(stream, count, kGrain, [=](int64_t begin, int64_t end) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) y[i] = F::value(a[i], b[i]);
  });
}

// out = or += dy * Derivative(a, b).
template <float (*Derivative)(float, float)>
void chain_rule(const Stream& stream, int64_t count, const float* a, const float* b, const float* dy, bool accumulate,
                float* out) {
  if (out == nullptr) return;
  parallel_for(stream, count, kGrain, [=](int64_t begin, int64_t end) {
    if (accumulate) {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) out[i] += dy[i] * Derivative(a[i], b[i]);
    } else {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) out[i] = dy[i] * Derivative(a[i], b[i]);
    }
  });
}

constexpr int64_t kRandomGroups = 64;  // Philox calls side by side; four elements each

// out [4 * kRandomGroups] = the uniform elements of the groups from `first` on.
void uniform_block(const RandomKey& key, uint64_t first, float* __restrict out) {
#pragma omp simd
  for (int64_t group = 0; group < kRandomGroups; ++group) {
    const Random4 words = philox(key, first + static_cast<uint64_t>(group));
    for (int j = 0; j < 4; ++j) out[4 * group + j] = unit_float(words.v[j]);
  }
}

}  // namespace

void unary_forward(const Stream& stream, Unary function, int64_t count, const float* x, float* y) {
  switch (function) {
#define ROW(name, F) \
  case Unary::name:  \
    return unary_forward_of<F>(stream, count, x, y);
    CONVOY_UNARY_FUNCTIONS(ROW)
#undef ROW
  }
}

void unary_backward(const Stream& stream, Unary function, int64_t count, const float* x, const float* dy,
                    bool accumulate, float* dx) {
  switch (function) {
#define ROW(name, F) \
  case Unary::name:  \
    return unary_backward_of<F>(stream, count, x, dy, accumulate, dx);
    CONVOY_UNARY_FUNCTIONS(ROW)
#undef ROW
  }
}

void binary_forward(const Stream& stream, Binary function, int64_t count, const float* a, const float* b, float* y) {
  switch (function) {
#define ROW(name, F) \
  case Binary::name: \
    return binary_forward_of<F>(stream, count, a, b, y);
    CONVOY_BINARY_FUNCTIONS(ROW)
#undef ROW
  }
}

void binary_backward(const Stream& stream, Binary function, int64_t count, const float* a, const float* b,
                     const float* dy, bool accumulate_a, float* da, bool accumulate_b, float* db) {
  switch (function) {
#define ROW(name, F)                                              \
  case Binary::name:                                              \
    chain_rule<F::da>(stream, count, a, b, dy, accumulate_a, da); \
    return chain_rule<F::db>(stream, count, a, b, dy, accumulate_b, db);
    CONVOY_BINARY_FUNCTIONS(ROW)
#undef ROW
  }
}

void scale(const Stream& stream, int64_t count, float scale, const float* x, float* y) {
  parallel_for(stream, count, kGrain, [=](int64_t begin, int64_t end) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) y[i] = x[i] * scale;
  });
}

void dropout(const Stream& stream, int64_t count, float probability, const RandomKey& key, uint64_t offset,
             const float* x, float* y) {
  const float scale = 1.0f / (1.0f - probability);
  parallel_for(stream, count, kGrain, [=](int64_t begin, int64_t end) {
    float uniform[4 * kRandomGroups];
    for (int64_t i = begin; i < end;) {
      const uint64_t element = offset + static_cast<uint64_t>(i);
      const int64_t skipped = static_cast<int64_t>(element % 4), most = 4 * kRandomGroups - skipped;
      const int64_t here = end - i < most ? end - i : most;
      uniform_block(key, element / 4, uniform);
#pragma omp simd
      for (int64_t j = 0; j < here; ++j) y[i + j] = uniform[skipped + j] >= probability ? x[i + j] * scale : 0.0f;
      i += here;
    }
  });
}

void fill(const Stream& stream, int64_t count, float value, float* y) {
  parallel_for(stream, count, kGrain, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = value;
  });
}

void convert(const Stream& stream, int64_t count, ConstArray x, Array y) {
  const auto copy = [&](const auto* from, auto* to) {
    parallel_for(stream, count, kGrain, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) assign(to[i], to_float(from[i]));
    });
  };
  if (x.dtype == DType::f32) {
    y.dtype == DType::f32 ? copy(x.as<float>(), y.as<float>()) : copy(x.as<float>(), y.as<Bf16>());
  } else {
    y.dtype == DType::f32 ? copy(x.as<Bf16>(), y.as<float>()) : copy(x.as<Bf16>(), y.as<Bf16>());
  }
}

}  // namespace convoy::CONVOY_ISA
