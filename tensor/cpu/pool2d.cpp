// Pooling on NHWC images: a window's pixels are compared or added a register of channels at a time.
#include <string.h>

#include "tensor/cpu/parallel.h"
#include "tensor/cpu/rows.h"

namespace convoy::CONVOY_ISA {
namespace {

typedef int32_t IntVector __attribute__((vector_size(kVectorFloats * 4)));
typedef uint8_t ByteVector __attribute__((vector_size(kVectorFloats), aligned(1), may_alias));

inline Vector load(const float* p) { return *reinterpret_cast<const Vector*>(p); }
inline void store(float* p, const Vector& v) { *reinterpret_cast<Vector*>(p) = v; }

// Items of `floats` floats each that make up one chunk of about 64 KiB.
inline int64_t chunk_of(int64_t floats) {
  constexpr int64_t kChunkFloats = 16384;
  return floats >= kChunkFloats ? 1 : kChunkFloats / (floats + 1) + 1;
}

// The taps [begin, end) of a window starting at pixel `start` (may be negative) that lie inside an image of
// `extent` pixels.
struct TapRange {
  int64_t begin, end;
};
inline TapRange taps_inside(int64_t start, int64_t window, int64_t extent) {
  const int64_t end = extent - start;
  return {start < 0 ? -start : 0, end < window ? end : window};
}

// One output pixel: x points at the window's tap (0,0), which may lie in the padding; [r0,r1) x [s0,s1) are
// the taps inside the image.
template <class Float, class Int>
inline void take_larger(const Float& value, int32_t tap, Float& best, Int& position) {
  const auto larger = (value > best) | ((value != value) & (best == best));
  best = larger ? value : best;
  position = larger ? Int{} + tap : position;
}

inline void max_of_window(const float* x, int64_t row_stride, int64_t channels, int64_t window_w,
                          TapRange rows, TapRange columns, float* __restrict y, uint8_t* __restrict index) {
  int64_t c = 0;
  for (; c + kVectorFloats <= channels; c += kVectorFloats) {
    const int64_t first = rows.begin * window_w + columns.begin;
    Vector best = load(x + rows.begin * row_stride + columns.begin * channels + c);
    IntVector position = IntVector{} + static_cast<int32_t>(first);
    for (int64_t r = rows.begin; r < rows.end; ++r)
      for (int64_t s = columns.begin; s < columns.end; ++s)
        take_larger(load(x + r * row_stride + s * channels + c), static_cast<int32_t>(r * window_w + s), best,
                    position);
    store(y + c, best);
    *reinterpret_cast<ByteVector*>(index + c) = __builtin_convertvector(position, ByteVector);
  }
  for (; c < channels; ++c) {
    float best = x[rows.begin * row_stride + columns.begin * channels + c];
    int32_t position = static_cast<int32_t>(rows.begin * window_w + columns.begin);
    for (int64_t r = rows.begin; r < rows.end; ++r)
      for (int64_t s = columns.begin; s < columns.end; ++s)
        take_larger(x[r * row_stride + s * channels + c], static_cast<int32_t>(r * window_w + s), best,
                    position);
    y[c] = best;
    index[c] = static_cast<uint8_t>(position);
  }
}

// dx [channels] = or += dy where the window's maximum was at `tap`, else 0.
inline void send_to_tap(int64_t channels, const float* __restrict dy, const uint8_t* __restrict index,
                        int32_t tap, bool accumulate, float* __restrict dx) {
  int64_t c = 0;
  for (; c + kVectorFloats <= channels; c += kVectorFloats) {
    const IntVector position =
        __builtin_convertvector(*reinterpret_cast<const ByteVector*>(index + c), IntVector);
    const Vector sent = position == tap ? load(dy + c) : Vector{};
    store(dx + c, accumulate ? load(dx + c) + sent : sent);
  }
  for (; c < channels; ++c) {
    const float sent = index[c] == tap ? dy[c] : 0.0f;
    dx[c] = accumulate ? dx[c] + sent : sent;
  }
}

inline void zero(float* begin, int64_t count) {
  memset(begin, 0, static_cast<size_t>(count) * sizeof(float));
}

// Windows side by side without overlap: every pixel belongs to at most one, so each is written once.
void max_pool_backward_disjoint(const Stream& stream, const Pool2dShape& s, const float* dy,
                                const uint8_t* index, bool accumulate, float* dx) {
  const int64_t P = s.p(), Q = s.q(), C = s.c, row = s.w * C;
  parallel_for(stream, s.n * P, chunk_of(s.r * row), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / P, p = i % P;
      float* const top = dx + (n * s.h + p * s.r) * row;
      for (int64_t q = 0; q < Q; ++q)
        for (int64_t r = 0; r < s.r; ++r)
          for (int64_t t = 0; t < s.s; ++t)
            send_to_tap(C, dy + (i * Q + q) * C, index + (i * Q + q) * C, static_cast<int32_t>(r * s.s + t),
                        accumulate, top + r * row + (q * s.s + t) * C);
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
        max_of_window(top + w * C, s.w * C, C, s.s, rows, taps_inside(w, s.s, s.w), y + (i * Q + q) * C,
                      index + (i * Q + q) * C);
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
        const TapRange columns = taps_inside(w, s.s, s.w);
        for (int64_t r = rows.begin; r < rows.end; ++r)
          for (int64_t t = columns.begin; t < columns.end; ++t)
            send_to_tap(C, dy + at, index + at, static_cast<int32_t>(r * s.s + t), true,
                        image + (h + r) * row + (w + t) * C);
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

void average_pool_backward(const Stream& stream, const Pool2dShape& s, const float* dy, bool accumulate,
                           float* dx) {
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
