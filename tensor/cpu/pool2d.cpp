// Pooling on NHWC images: a window's pixels are compared or added a register of channels at a time.
#include <string.h>

#include "tensor/cpu/matrix.h"
#include "tensor/cpu/table.h"

namespace convoy::CONVOY_ISA {
namespace {

// The taps [begin, end) of a window starting at pixel `start` (may be negative) that lie inside an image of
// `extent` pixels.
struct TapRange {
  int64_t begin, end;
};
inline TapRange taps_inside(int64_t start, int64_t window, int64_t extent) {
  const int64_t end = extent - start;
  return {start < 0 ? -start : 0, end < window ? end : window};
}

// The taps [r0,r1) x [s0,s1) of one window that lie inside the image, of a window `window_w` wide on an image
// whose rows are `row_stride` floats apart.
struct PoolWindow {
  TapRange rows, columns;
  int64_t window_w, row_stride, channels;
};

// y [channels] = the maximum of the window whose tap (0,0), possibly outside the image, is at x; index
// [channels] = where it was.
inline void max_of_window(const PoolWindow& window, const float* x, float* __restrict y, uint8_t* __restrict index) {
  for_lanes_repeatable(0, window.channels, [=]<class L>(int64_t c) {
    const auto [rows, columns, window_w, row_stride, channels] = window;
    using Int = typename L::Int;
    typename L::Value best = L::load(x + rows.begin * row_stride + columns.begin * channels + c);
    Int position = Int{} + static_cast<int32_t>(rows.begin * window_w + columns.begin);
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      for (int64_t s = columns.begin; s < columns.end; ++s) {
        const typename L::Value value = L::load(x + r * row_stride + s * channels + c);
        const auto wins = exceeds(value, best);
        best = wins ? value : best;
        position = wins ? Int{} + static_cast<int32_t>(r * window_w + s) : position;
      }
    }
    L::store(y + c, best);
    L::store_bytes(index + c, position);
  });
}

// dx, the window's tap (0,0), = or += dy [channels] at the tap that index [channels] names, 0 at the others.
inline void send_to_window(const PoolWindow& window, const float* __restrict dy, const uint8_t* __restrict index,
                           bool accumulate, float* __restrict dx) {
  const auto send = [=]<class L>(int64_t c) {
    const auto [rows, columns, window_w, row_stride, channels] = window;
    using Value = typename L::Value;
    const typename L::Int position = L::load_bytes(index + c);
    const Value gradient = L::load(dy + c);
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      for (int64_t s = columns.begin; s < columns.end; ++s) {
        float* const to = dx + r * row_stride + s * channels + c;
        const Value sent = position == static_cast<int32_t>(r * window_w + s) ? gradient : Value{};
        L::store(to, accumulate ? L::load(to) + sent : sent);
      }
    }
  };
  if (accumulate)
    for_lanes(0, window.channels, send);
  else
    for_lanes_repeatable(0, window.channels, send);
}

inline void zero(float* begin, int64_t count) { memset(begin, 0, static_cast<size_t>(count) * sizeof(float)); }

// Windows side by side without overlap: every pixel belongs to at most one, so each is written once.
void max_pool_backward_disjoint(const Stream& stream, const Pool2dShape& s, const float* dy, const uint8_t* index,
                                bool accumulate, float* dx) {
  const int64_t P = s.p(), Q = s.q(), C = s.c, row = s.w * C;
  parallel_for(stream, s.n * P, chunk_of(s.r * row), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / P, p = i % P;
      float* const top = dx + (n * s.h + p * s.r) * row;
      const PoolWindow window{{0, s.r}, {0, s.s}, s.s, row, C};
      for (int64_t q = 0; q < Q; ++q) {
        send_to_window(window, dy + (i * Q + q) * C, index + (i * Q + q) * C, accumulate, top + q * s.s * C);
      }
      if (accumulate) continue;
      for (int64_t r = 0; r < s.r; ++r) zero(top + r * row + Q * s.s * C, (s.w - Q * s.s) * C);
      if (p == P - 1) zero(top + s.r * row, (s.h - P * s.r) * row);
    }
  });
}

}  // namespace

void max_pool_forward(const Stream& stream, const Pool2dShape& s, const float* x, float* y, uint8_t* index) {
  const int64_t P = s.p(), Q = s.q(), C = s.c;
  parallel_for(stream, s.n * P, chunk_of(s.r * s.w * C), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t h = i % P * s.stride_h - s.pad_h;
      const TapRange rows = taps_inside(h, s.r, s.h);
      const float* const top = x + (i / P * s.h + h) * s.w * C;
      for (int64_t q = 0; q < Q; ++q) {
        const int64_t w = q * s.stride_w - s.pad_w;
        const PoolWindow window{rows, taps_inside(w, s.s, s.w), s.s, s.w * C, C};
        max_of_window(window, top + w * C, y + (i * Q + q) * C, index + (i * Q + q) * C);
      }
    }
  });
}

void max_pool_backward(const Stream& stream, const Pool2dShape& s, const float* dy, const uint8_t* index,
                       bool accumulate, float* dx) {
  const int64_t P = s.p(), Q = s.q(), C = s.c, row = s.w * C;
  if (s.stride_h == s.r && s.stride_w == s.s && s.pad_h == 0 && s.pad_w == 0 && P > 0 && Q > 0) {
    max_pool_backward_disjoint(stream, s, dy, index, accumulate, dx);
    return;
  }
  parallel_for(stream, s.n, 1, [=](int64_t n, int64_t) {
    float* const image = dx + n * s.h * row;
    if (!accumulate) zero(image, s.h * row);
    for (int64_t p = 0; p < P; ++p) {
      const int64_t h = p * s.stride_h - s.pad_h;
      const TapRange rows = taps_inside(h, s.r, s.h);
      for (int64_t q = 0; q < Q; ++q) {
        const int64_t w = q * s.stride_w - s.pad_w, at = ((n * P + p) * Q + q) * C;
        const PoolWindow window{rows, taps_inside(w, s.s, s.w), s.s, row, C};
        send_to_window(window, dy + at, index + at, true, image + h * row + w * C);
      }
    }
  });
}

void average_pool_forward(const Stream& stream, const Pool2dShape& s, const float* x, float* y) {
  const int64_t P = s.p(), Q = s.q(), C = s.c;
  const float scale = 1.0f / static_cast<float>(s.r * s.s);
  parallel_for(stream, s.n * P, chunk_of(s.r * s.w * C), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t h = i % P * s.stride_h - s.pad_h;
      const TapRange rows = taps_inside(h, s.r, s.h);
      for (int64_t q = 0; q < Q; ++q) {
        const int64_t w = q * s.stride_w - s.pad_w;
        const TapRange columns = taps_inside(w, s.s, s.w);
        float* __restrict const out = y + (i * Q + q) * C;
        zero(out, C);
        for (int64_t r = rows.begin; r < rows.end; ++r)
          for (int64_t t = columns.begin; t < columns.end; ++t) {
            const float* __restrict const pixel = x + ((i / P * s.h + h + r) * s.w + w + t) * C;
            for (int64_t c = 0; c < C; ++c) out[c] += pixel[c];
          }
        for (int64_t c = 0; c < C; ++c) out[c] *= scale;
      }
    }
  });
}

void average_pool_backward(const Stream& stream, const Pool2dShape& s, const float* dy, bool accumulate, float* dx) {
  const int64_t P = s.p(), Q = s.q(), C = s.c, row = s.w * C;
  const float scale = 1.0f / static_cast<float>(s.r * s.s);
  parallel_for(stream, s.n, 1, [=](int64_t n, int64_t) {
    float* const image = dx + n * s.h * row;
    if (!accumulate) zero(image, s.h * row);
    for (int64_t p = 0; p < P; ++p) {
      const int64_t h = p * s.stride_h - s.pad_h;
      const TapRange rows = taps_inside(h, s.r, s.h);
      for (int64_t q = 0; q < Q; ++q) {
        const int64_t w = q * s.stride_w - s.pad_w;
        const TapRange columns = taps_inside(w, s.s, s.w);
        const float* __restrict const from = dy + ((n * P + p) * Q + q) * C;
        for (int64_t r = rows.begin; r < rows.end; ++r)
          for (int64_t t = columns.begin; t < columns.end; ++t) {
            float* __restrict const pixel = image + (h + r) * row + (w + t) * C;
            for (int64_t c = 0; c < C; ++c) pixel[c] += from[c] * scale;
          }
      }
    }
  });
}

}  // namespace convoy::CONVOY_ISA
