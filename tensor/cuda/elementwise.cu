// Elementwise kernels: the formulas of functions.h over contiguous arrays. All are bound by memory: each reads and
// writes its arrays once.
#include "tensor/cuda/table.h"
#include "tensor/cuda/vector_access.cuh"

namespace convoy::cuda {
namespace {

constexpr int kThreads = 256;

// Threads lie over the arrays as for_vectors() says, here and in the next three kernels. Moves 8 bytes an element.
template <int W, class F>
__global__ void __launch_bounds__(kThreads) unary_forward_kernel(int64_t count, const float* x, float* y) {
  for_vectors<W>(
      count,
      [=]<int V>(int64_t i, const auto& in) {
        Vector<V> out;
        for (int j = 0; j < V; ++j) out[j] = F::value(in[0][j]);
        store(y + i, out);
      },
      x);
}

// Moves 12 bytes an element, 16 when it accumulates.
template <int W, class F, bool Accumulate>
__global__ void __launch_bounds__(kThreads)
    unary_backward_kernel(int64_t count, const float* x, const float* dy, float* dx) {
  const auto body = [=]<int V>(int64_t i, const auto& in) {
    Vector<V> out;
    for (int j = 0; j < V; ++j) {
      out[j] = in[1][j] * F::derivative(in[0][j]);
      if constexpr (Accumulate) out[j] += in[2][j];
    }
    store(dx + i, out);
  };
  if constexpr (Accumulate) {
    for_vectors<W>(count, body, x, dy, dx);
  } else {
    for_vectors<W>(count, body, x, dy);
  }
}

// Moves 12 bytes an element.
template <int W, class F>
__global__ void __launch_bounds__(kThreads)
    binary_forward_kernel(int64_t count, const float* a, const float* b, float* y) {
  for_vectors<W>(
      count,
      [=]<int V>(int64_t i, const auto& in) {
        Vector<V> out;
        for (int j = 0; j < V; ++j) out[j] = F::value(in[0][j], in[1][j]);
        store(y + i, out);
      },
      a, b);
}

// da, db = or += dy times the derivatives, in one pass over dy. Moves 12 bytes an element, 4 for each result and 4
// more where that accumulates.
template <int W, class F>
__global__ void __launch_bounds__(kThreads)
    binary_backward_kernel(int64_t count, const float* a, const float* b, const float* dy, bool accumulate_a, float* da,
                           bool accumulate_b, float* db) {
  for_vectors<W>(
      count,
      [=]<int V>(int64_t i, const auto& in) {
        const auto give = [i](float* to, bool accumulate, const Vector<V>& gradient) {
          Vector<V> out = gradient;
          if (accumulate) {
            const Vector<V> before = load<V>(to + i);
            for (int j = 0; j < V; ++j) out[j] += before[j];
          }
          store(to + i, out);
        };
        Vector<V> gradient_a, gradient_b;
        for (int j = 0; j < V; ++j) {
          gradient_a[j] = in[2][j] * F::da(in[0][j], in[1][j]);
          gradient_b[j] = in[2][j] * F::db(in[0][j], in[1][j]);
        }
        if (da != nullptr) give(da, accumulate_a, gradient_a);
        if (db != nullptr) give(db, accumulate_b, gradient_b);
      },
      a, b, dy);
}

template <int W>
__global__ void __launch_bounds__(kThreads) scale_kernel(int64_t count, float scale, const float* x, float* y) {
  for_vectors<W>(
      count,
      [=]<int V>(int64_t i, const auto& in) {
        Vector<V> out;
        for (int j = 0; j < V; ++j) out[j] = in[0][j] * scale;
        store(y + i, out);
      },
      x);
}

// A thread takes the four elements that share one Philox call, as one vector when Wide: then `offset` is a multiple
// of 4. Moves 8 bytes an element.
template <bool Wide>
__global__ void __launch_bounds__(kThreads)
    dropout_kernel(int64_t count, float probability, float scale, RandomKey key, uint64_t offset,
                   const StepScalars* __restrict__ recorded, const float* x, float* y) {
  if (recorded != nullptr) key.step = recorded->step;
  const int64_t skipped = static_cast<int64_t>(offset % 4), groups = (count + skipped + 3) / 4;
  const int64_t step = int64_t{gridDim.x} * kThreads;
  for (int64_t group = int64_t{blockIdx.x} * kThreads + threadIdx.x; group < groups; group += step) {
    const Random4 random = philox(key, offset / 4 + static_cast<uint64_t>(group));
    const int64_t first = 4 * group - skipped;
    const auto kept = [&](int j, float value) { return unit_float(random.v[j]) >= probability ? value * scale : 0.0f; };
    if (Wide && first + 4 <= count) {
      Vector<4> v = load<4>(x + first);
      for (int j = 0; j < 4; ++j) v[j] = kept(j, v[j]);
      store(y + first, v);
    } else {
      for (int j = 0; j < 4; ++j)
        if (first + j >= 0 && first + j < count) y[first + j] = kept(j, x[first + j]);
    }
  }
}

// Threads lie side by side. Moves 4 bytes an element.
template <int W>
__global__ void __launch_bounds__(kThreads) fill_kernel(int64_t count, float value, float* y) {
  const int64_t step = int64_t{gridDim.x} * kThreads * W;
  for (int64_t i = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * W; i < count; i += step) {
    if (i + W <= count) {
      Vector<W> v;
      for (int j = 0; j < W; ++j) v[j] = value;
      store(y + i, v);
    } else {
      for (int64_t rest = i; rest < count; ++rest) y[rest] = value;
    }
  }
}

// Moves the bytes of both arrays.
template <int W, class From, class To>
__global__ void __launch_bounds__(kThreads) convert_kernel(int64_t count, const From* x, To* y) {
  for_vectors<W>(
      count, [=]<int V>(int64_t i, const auto& in) { store(y + i, in[0]); }, x);
}

template <class F>
void unary_forward_of(const Stream& stream, int64_t count, const float* x, float* y) {
  with_width(aligned(x, y), [&]<int W> {
    launch("unary_forward", stream, grid_of_vectors(count, W), unary_forward_kernel<W, F>, count, x, y);
  });
}

template <class F>
void unary_backward_of(const Stream& stream, int64_t count, const float* x, const float* dy, bool accumulate,
                       float* dx) {
  with_width(aligned(x, dy, dx), [&]<int W> {
    const auto kernel = accumulate ? unary_backward_kernel<W, F, true> : unary_backward_kernel<W, F, false>;
    launch("unary_backward", stream, grid_of_vectors(count, W), kernel, count, x, dy, dx);
  });
}

template <class F>
void binary_forward_of(const Stream& stream, int64_t count, const float* a, const float* b, float* y) {
  with_width(aligned(a, b, y), [&]<int W> {
    launch("binary_forward", stream, grid_of_vectors(count, W), binary_forward_kernel<W, F>, count, a, b, y);
  });
}

template <class F>
void binary_backward_of(const Stream& stream, int64_t count, const float* a, const float* b, const float* dy,
                        bool accumulate_a, float* da, bool accumulate_b, float* db) {
  with_width(aligned(a, b, dy, da, db), [&]<int W> {
    launch("binary_backward", stream, grid_of_vectors(count, W), binary_backward_kernel<W, F>, count, a, b, dy,
           accumulate_a, da, accumulate_b, db);
  });
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
#define ROW(name, F) \
  case Binary::name: \
    return binary_backward_of<F>(stream, count, a, b, dy, accumulate_a, da, accumulate_b, db);
    CONVOY_BINARY_FUNCTIONS(ROW)
#undef ROW
  }
}

void scale(const Stream& stream, int64_t count, float scale, const float* x, float* y) {
  with_width(aligned(x, y),
             [&]<int W> { launch("scale", stream, grid_of_vectors(count, W), scale_kernel<W>, count, scale, x, y); });
}

void dropout(const Stream& stream, int64_t count, float probability, const RandomKey& key, uint64_t offset,
             const float* x, float* y) {
  if (count == 0) return;
  const float scale = 1.0f / (1.0f - probability);
  const bool wide = aligned(x, y) && offset % 4 == 0;
  launch("dropout", stream, grid_for(count + 3, 4, kThreads), wide ? dropout_kernel<true> : dropout_kernel<false>,
         count, probability, scale, key, offset, stream.scalars, x, y);
}

void fill(const Stream& stream, int64_t count, float value, float* y) {
  with_width(aligned(y),
             [&]<int W> { launch("fill", stream, grid_for(count, W, kThreads), fill_kernel<W>, count, value, y); });
}

void convert(const Stream& stream, int64_t count, ConstArray x, Array y) {
  with_type(x.dtype, [&]<class From> {
    with_type(y.dtype, [&]<class To> {
      with_width(aligned(x.as<From>(), y.as<To>()), [&]<int W> {
        launch("convert", stream, grid_of_vectors(count, W), convert_kernel<W, From, To>, count, x.as<From>(),
               y.as<To>());
      });
    });
  });
}

}  // namespace convoy::cuda
