// Rows of the im2col matrix, made on demand from an NHWC image: the matrix of all of them never exists.
//
// Row (n, i, j) is what a filter sees at output pixel (i, j) of image n: taps in the order r, s, c. For a fixed r
// its S*C values are neighbours in the image, so a row is R copies of a clipped run. docs/convolution.md draws the
// map.
#pragma once

#include "tensor/cpu/blocked_product.h"

namespace convoy::CONVOY_ISA {

struct Im2col {
  const float* image;  // [n, h, w, c]
  int64_t h, w, c;
  int64_t r, s;  // window
  int64_t stride_h, stride_w;
  int64_t pad_h, pad_w;  // may be negative: the window then starts inside the image
  int64_t out_h, out_w;

  // to[i * kRowStride + t] = tap tap_begin + t of row row + i, for i in [0, rows) and t in [0, tap_end - tap_begin).
  void copy_rows(int64_t row, int64_t rows, int64_t tap_begin, int64_t tap_end, float* to) const {
    if (tap_begin == tap_end) return;  // a window without taps: no filter reaches these pixels
    const int64_t run = s * c;
    int64_t j = row % out_w, i = row / out_w % out_h, n = row / out_w / out_h;
    for (int64_t done = 0; done < rows;) {
      const int64_t pixels = smaller(rows - done, out_w - j);  // on one output line
      int64_t window_row = tap_begin / run;
      for (int64_t tap = tap_begin; tap < tap_end; ++window_row) {
        const int64_t begin = tap - window_row * run, end = smaller(run, tap_end - window_row * run);
        copy_line(n, i * stride_h + window_row - pad_h, j, pixels, begin, end,
                  to + done * kRowStride + tap - tap_begin);
        tap += end - begin;
      }
      done += pixels;
      j = 0;
      if (++i == out_h) i = 0, ++n;
    }
  }

 private:
  // Elements [begin, end) of the runs that `pixels` output pixels from column j see on line y of image n.
  void copy_line(int64_t n, int64_t y, int64_t j, int64_t pixels, int64_t begin, int64_t end, float* to) const {
    const int64_t length = end - begin, line = w * c, step = stride_w * c;
    if (y < 0 || y >= h) {
      for (int64_t pixel = 0; pixel < pixels; ++pixel, to += kRowStride) zero_floats(to, length);
      return;
    }
    const float* from = image + (n * h + y) * line;
    int64_t start = (j * stride_w - pad_w) * c + begin;  // negative left of the image
    for (int64_t pixel = 0; pixel < pixels; ++pixel, start += step, to += kRowStride) {
      if (start >= 0 && start + length <= line) {
        copy_floats(to, from + start, length);
      } else {
        const int64_t left = smaller(length, larger(0, -start)), inside = larger(left, smaller(length, line - start));
        zero_floats(to, left);
        if (inside > left) copy_floats(to + left, from + (start + left), inside - left);
        zero_floats(to + inside, length - inside);
      }
    }
  }
};

}  // namespace convoy::CONVOY_ISA
