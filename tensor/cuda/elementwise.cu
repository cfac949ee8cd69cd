// Elementwise kernels: the formulas of functions.h over contiguous arrays of T, float or Bf16. All are bound by memory:
// each reads and writes its arrays once.
#include "tensor/cuda/table.h"
#include "tensor/cuda/vector_access.cuh"

namespace convoy::cuda {
namespace {

constexpr int kThreads = 256;

// Threads lie over the arrays as for_vectors() says, here and in the next three kernels. Moves 8 bytes an element,
// 4 in bf16.
template <int W, class T, class F>
__global__ void __launch_bounds__(kThreads) unary_forward_kernel(int64_t count, const T* x, T* y) {
  for_vectors<W>(
      count,
      [=]<int V>(int64_t i, const auto& in) {
        Vector<V> out;
        for (int j = 0; j < V; ++j) out[j] = F::value(in[0][j]);
        store(y + i, out);
      },
      x);
}

// Moves 12 bytes an element, 16 when it accumulates; half of that in bf16.
template <int W, class T, class F, bool Accumulate>
__global__ void __launch_bounds__(kThreads) unary_backward_kernel(int64_t count, const T* x, const T* dy, T* dx) {
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

// Moves 12 bytes an element, 6 in bf16.
template <int W, class T, class F>
__global__ void __launch_bounds__(kThreads) binary_forward_kernel(int64_t count, const T* a, const T* b, T* y) {
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
// more where that accumulates; half of that in bf16.
template <int W, class T, class F>
__global__ void __launch_bounds__(kThreads) binary_backward_kernel(int64_t count, const T* a, const T* b, const T* dy,
                                                                   bool accumulate_a, T* da, bool accumulate_b, T* db) {
  for_vectors<W>(
      count,
      [=]<int V>(int64_t i, const auto& in) {
        const auto give = [i](T* to, bool accumulate, const Vector<V>& gradient) {
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

// Moves 8 bytes an element, 4 in bf16.
template <int W, class T>
__global__ void __launch_bounds__(kThreads) scale_kernel(int64_t count, float scale, const T* x, T* y) {
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
// of 4. Moves 8 bytes an element, 4 in bf16.
template <bool Wide, class T>
__global__ void __launch_bounds__(kThreads)
    dropout_kernel(int64_t count, float probability, float scale, RandomKey key, uint64_t offset,
                   const StepScalars* __restrict__ recorded, const T* x, T* y) {
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
        if (first + j >= 0 && first + j < count) assign(y[first + j], kept(j, to_float(x[first + j])));
    }
  }
}

// Threads lie side by side. Moves 4 bytes an element, 2 in bf16.
template <int W, class T>
__global__ void __launch_bounds__(kThreads) fill_kernel(int64_t count, float value, T* y) {
  const int64_t step = int64_t{gridDim.x} * kThreads * W;
  for (int64_t i = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * W; i < count; i += step) {
    if (i + W <= count) {
      Vector<W> v;
      for (int j = 0; j < W; ++j) v[j] = value;
      store(y + i, v);
    } else {
      for (int64_t rest = i; rest < count; ++rest) assign(y[rest], value);
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
void unary_forward_of(const Stream& stream, int64_t count, ConstArray x, Array y) {
  with_type(y.dtype, [&]<class T> {
    with_width(aligned(x.as<T>(), y.as<T>()), [&]<int W> {
      launch("unary_forward", stream, grid_of_vectors(count, W), unary_forward_kernel<W, T, F>, count, x.as<T>(),
             y.as<T>());
    });
  });
}

template <class F>
void unary_backward_of(const Stream& stream, int64_t count, ConstArray x, ConstArray dy, bool accumulate, Array dx) {
  with_type(dx.dtype, [&]<class T> {
    with_width(aligned(x.as<T>(), dy.as<T>(), dx.as<T>()), [&]<int W> {
      const auto kernel = accumulate ? unary_backward_kernel<W, T, F, true> : unary_backward_kernel<W, T, F, false>;
      launch("unary_backward", stream, grid_of_vectors(count, W), kernel, count, x.as<T>(), dy.as<T>(), dx.as<T>());
    });
  });
}

template <class F>
void binary_forward_of(const Stream& stream, int64_t count, ConstArray a, ConstArray b, Array y) {
  with_type(y.dtype, [&]<class T> {
    with_width(aligned(a.as<T>(), b.as<T>(), y.as<T>()), [&]<int W> {
      launch("binary_forward", stream, grid_of_vectors(count, W), binary_forward_kernel<W, T, F>, count, a.as<T>(),
             b.as<T>(), y.as<T>());
    });
  });
}

// The type is that of dy: da or db may be null, which has none.
template <class F>
void binary_backward_of(const Stream& stream, int64_t count, ConstArray a, ConstArray b, ConstArray dy,
                        bool accumulate_a, Array da, bool accumulate_b, Array db) {
  with_type(dy.dtype, [&]<class T> {
    with_width(aligned(a.as<T>(), b.as<T>(), dy.as<T>(), da.as<T>(), db.as<T>()), [&]<int W> {
      launch("binary_backward", stream, grid_of_vectors(count, W), binary_backward_kernel<W, T, F>, count, a.as<T>(),
             b.as<T>(), dy.as<T>(), accumulate_a, da.as<T>(), accumulate_b, db.as<T>());
    });
  });
}

}  // namespace

void unary_forward(const Stream& stream, Unary function, int64_t count, ConstArray x, Array y) {
  switch (function) {
#define ROW(name, F) \
  case Unary::name:  \
    return unary_forward_of<F>(stream, count, x, y);
    CONVOY_UNARY_FUNCTIONS(ROW)
#undef ROW
  }
}

void unary_backward(const Stream& stream, Unary function, int64_t count, ConstArray x, ConstArray dy, bool accumulate,
                    Array dx) {
  switch (function) {
#define ROW(name, F) \
  case Unary::name:  \
    return unary_backward_of<F>(stream, count, x, dy, accumulate, dx);
    CONVOY_UNARY_FUNCTIONS(ROW)
#undef ROW
  }
}

void binary_forward(const Stream& stream, Binary function, int64_t count, ConstArray a, ConstArray b, Array y) {
  switch (function) {
#define ROW(name, F) \
  case Binary::name: \
    return binary_forward_of<F>(stream, count, a, b, y);
    CONVOY_BINARY_FUNCTIONS(ROW)
#undef ROW
  }
}

void binary_backward(const Stream& stream, Binary function, int64_t count, ConstArray a, ConstArray b, ConstArray dy,
                     bool accumulate_a, Array da, bool accumulate_b, Array db) {
  switch (function) {
#define ROW(name, F) \
  case Binary::name: \
    return binary_backward_of<F>(stream, count, a, b, dy, accumulate_a, da, accumulate_b, db);
    CONVOY_BINARY_FUNCTIONS(ROW)
#undef ROW
  }
}

void scale(const Stream& stream, int64_t count, float scale, ConstArray x, Array y) {
  with_type(y.dtype, [&]<class T> {
    with_width(aligned(x.as<T>(), y.as<T>()), [&]<int W> {
      launch("scale", stream, grid_of_vectors(count, W), scale_kernel<W, T>, count, scale, x.as<T>(), y.as<T>());
    });
  });
}

void dropout(const Stream& stream, int64_t count, float probability, const RandomKey& key, uint64_t offset,
             ConstArray x, Array y) {
  if (count == 0) return;
  const float scale = 1.0f / (1.0f - probability);
  with_type(y.dtype, [&]<class T> {
    const bool wide = aligned(x.as<T>(), y.as<T>()) && offset % 4 == 0;
    launch("dropout", stream, grid_for(count + 3, 4, kThreads),
           wide ? dropout_kernel<true, T> : dropout_kernel<false, T>, count, probability, scale, key, offset,
           stream.scalars, x.as<T>(), y.as<T>());
  });
}

void fill(const Stream& stream, int64_t count, float value, Array y) {
  with_type(y.dtype, [&]<class T> {
    with_width(aligned(y.as<T>()), [&]<int W> {
      launch("fill", stream, grid_for(count, W, kThreads), fill_kernel<W, T>, count, value, y.as<T>());
    });
  });
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
