// Batch normalisation and max pooling in one pass: neither the normalised image nor its gradient is ever stored. Both kernels give
// the bits that those of batch_norm.cpp and pool2d.cpp give one after the other.
#include "tensor/cpu/batch_norm_terms.h"
#include "tensor/cpu/matrix.h"
#include "tensor/cpu/table.h"

namespace convoy::CONVOY_ISA {
namespace {

// Windows side by side, as a row of them needs it: [r,s] pixels each, of images whose rows are `row` floats long.
struct Windows {
  int64_t count, r, s, row, channels;
};

// Calls body(position, offset) for the pixels of a window, row by row; the usual 2 x 2 in loops that the compiler unrolls. `offset` is
// that of the pixel from the window's first, in floats.
template <class Body>
[[gnu::always_inline]] inline void for_taps(const Windows& windows, Body&& body) {
  if (windows.r == 2 && windows.s == 2) {
    for (int r = 0; r < 2; ++r)
      for (int s = 0; s < 2; ++s) body(2 * r + s, r * windows.row + s * windows.channels);
  } else {
    for (int64_t r = 0; r < windows.r; ++r)
      for (int64_t s = 0; s < windows.s; ++s)
        body(static_cast<int>(r * windows.s + s), r * windows.row + s * windows.channels);
  }
}

// K runs of channels of a row of windows; all pointers at the first of these channels. x_at_max and index may be null.
template <class Lane, int K>
inline void pool_row(Windows windows, NormFactors factors, bool relu, const float* x, float* y, float* x_at_max,
                     uint8_t* index) {
  using Value = typename Lane::Value;
  using Int = typename Lane::Int;
  Normaliser<Lane> norm[K];
  for (int k = 0; k < K; ++k) norm[k] = {factors, k * Lane::kWidth};
  for (int64_t q = 0; q < windows.count; ++q) {
    for (int k = 0; k < K; ++k) {
      const float* const window = x + q * windows.s * windows.channels + k * Lane::kWidth;
      Value at_best = Lane::load(window), best = norm[k].forward(at_best, relu);
      Int position{};
      for_taps(windows, [&](int tap, int64_t offset) {
        const Value here = Lane::load(window + offset), value = norm[k].forward(here, relu);
        const auto wins = exceeds(value, best);
        best = wins ? value : best;
        at_best = wins ? here : at_best;
        position = wins ? Int{} + tap : position;
      });
      const int64_t to = q * windows.channels + k * Lane::kWidth;
      Lane::store(y + to, best);
      if (x_at_max != nullptr) Lane::store(x_at_max + to, at_best);
      if (index != nullptr) Lane::store_bytes(index + to, position);
    }
  }
}

// The dx of K runs of channels in the windows of a row; all pointers at the first of these channels.
template <class Lane, int K>
inline void write_row(Windows windows, NormGradientFactors factors, bool relu, bool accumulate, const float* x,
                      const float* dy, const uint8_t* index, float* dx) {
  using Value = typename Lane::Value;
  NormGradient<Lane> norm[K];
  for (int k = 0; k < K; ++k) norm[k] = {factors, k * Lane::kWidth};
  for (int64_t q = 0; q < windows.count; ++q) {
    for (int k = 0; k < K; ++k) {
      const int64_t from = q * windows.channels + k * Lane::kWidth;
      const Value gradient = Lane::load(dy + from);
      const typename Lane::Int position = Lane::load_bytes(index + from);
      for_taps(windows, [&](int tap, int64_t offset) {
        const int64_t at = q * windows.s * windows.channels + k * Lane::kWidth + offset;
        const Value result = norm[k].backward(Lane::load(x + at), position == tap ? gradient : Value{}, relu);
        Lane::store(dx + at, accumulate ? result + Lane::load(dx + at) : result);
      });
    }
  }
}

// The dx of pixels that lie in no window.
template <class Lane, int K>
inline void write_pixels(int64_t pixels, int64_t channels, NormGradientFactors factors, bool relu, bool accumulate,
                         const float* x, float* dx) {
  for (int64_t pixel = 0; pixel < pixels; ++pixel) {
    for (int k = 0; k < K; ++k) {
      const int64_t at = pixel * channels + k * Lane::kWidth;
      const typename Lane::Value result =
          NormGradient<Lane>(factors, k * Lane::kWidth).backward(Lane::load(x + at), typename Lane::Value{}, relu);
      Lane::store(dx + at, accumulate ? result + Lane::load(dx + at) : result);
    }
  }
}

// Calls body.operator()<Lane, K>(i, pixel, c) for all N*P rows of windows, in parallel, and blocks of channels; `pixel` is the first
// of row i.
template <class Body>
inline void for_rows_of_windows(const Stream& stream, const Pool2dShape& shape, Body&& body) {
  const int64_t rows_per_chunk = chunk_of(shape.r * shape.w * shape.c), P = shape.p();
  parallel_for(stream, shape.n * P, rows_per_chunk, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t pixel = (i / P * shape.h + i % P * shape.r) * shape.w;
      for_column_blocks(shape.c, [&]<class Lane, int K>(int64_t c) { body.template operator()<Lane, K>(i, pixel, c); });
    }
  });
}

}  // namespace

void batch_norm_max_pool(const Stream& stream, const Pool2dShape& shape, const float* x, const float* mean,
                         const float* variance, float epsilon, const float* gamma, const float* beta, bool relu,
                         float* y, float* x_at_max, uint8_t* index) {
  const int64_t C = shape.c;
  const NormFactors factors =
      norm_factors(C, mean, variance, epsilon, gamma, beta, thread_scratch(Scratch::partial, C));
  const Windows windows{shape.q(), shape.r, shape.s, shape.w * C, C};
  for_rows_of_windows(stream, shape, [=]<class Lane, int K>(int64_t i, int64_t pixel, int64_t c) {
    const int64_t to = i * windows.count * windows.channels + c;
    pool_row<Lane, K>(windows, factors.from(c), relu, x + pixel * windows.channels + c, y + to,
                      x_at_max != nullptr ? x_at_max + to : nullptr, index != nullptr ? index + to : nullptr);
  });
}

void batch_norm_max_pool_backward_input(const Stream& stream, const Pool2dShape& shape, int64_t total_rows,
                                        const float* x, const float* dy, const uint8_t* index, const float* mean,
                                        const float* variance, float epsilon, const float* gamma, const float* beta,
                                        bool relu, const float* dgamma, const float* dbeta, bool accumulate,
                                        float* dx) {
  if (shape.n == 0) return;
  const int64_t P = shape.p(), C = shape.c, below = shape.h - P * shape.r, beside = shape.w - shape.q() * shape.s;
  const NormGradientFactors all_factors = norm_gradient_factors(C, total_rows, mean, variance, epsilon, gamma, beta,
                                                                dgamma, dbeta, thread_scratch(Scratch::partial, 3 * C));
  const Windows windows{shape.q(), shape.r, shape.s, shape.w * C, C};
  for_rows_of_windows(stream, shape, [=]<class Lane, int K>(int64_t i, int64_t pixel, int64_t c) {
    const NormGradientFactors factors = all_factors.from(c);
    const int64_t from = i * windows.count * C + c, first = pixel * C + c;
    write_row<Lane, K>(windows, factors, relu, accumulate, x + first, dy + from, index + from, dx + first);
    const auto write_others = [&](int64_t at, int64_t pixels) {
      write_pixels<Lane, K>(pixels, C, factors, relu, accumulate, x + at, dx + at);
    };
    for (int64_t r = 1; r <= windows.r; ++r) write_others(first + r * windows.row - beside * C, beside);
    if (i % P == P - 1) write_others(first + windows.r * windows.row, below * shape.w);
  });
}

}  // namespace convoy::CONVOY_ISA
