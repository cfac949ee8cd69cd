#include "tests/winograd_magnitude.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace convoy::reference {
namespace {

constexpr int kPatch = 6;
constexpr std::array<double, 5> kPoints = {0, 0.625, -0.625, 1.5, -1.5};  // and infinity
template <int kRows, int kColumns>
using Matrix = std::array<std::array<double, kColumns>, kRows>;

// Coefficients of the product of (x - point) over all points but `left_out`.
std::array<double, kPatch> polynomial(size_t left_out) {
  std::array<double, kPatch> c = {1};
  size_t degree = 0;
  for (size_t k = 0; k < kPoints.size(); ++k) {
    if (k == left_out) continue;
    ++degree;
    for (size_t i = degree; i > 0; --i) c[i] = c[i - 1] - kPoints[k] * c[i];
    c[0] *= -kPoints[k];
  }
  return c;
}

Matrix<6, 6> image() {
  Matrix<6, 6> m;
  for (size_t j = 0; j < 6; ++j) m[j] = polynomial(j);
  return m;
}

template <int kTaps>
Matrix<6, kTaps> filter() {
  Matrix<6, kTaps> m = {};
  for (size_t j = 0; j < 5; ++j) {
    double denominator = 1;
    for (size_t k = 0; k < 5; ++k) denominator *= k == j ? 1 : kPoints[j] - kPoints[k];
    for (size_t i = 0; i < kTaps; ++i) m[j][i] = std::pow(kPoints[j], static_cast<double>(i)) / denominator;
  }
  m[5][kTaps - 1] = 1;
  return m;
}

template <int kResults>
Matrix<kResults, 6> back() {
  Matrix<kResults, 6> m = {};
  for (size_t i = 0; i < kResults; ++i)
    for (size_t j = 0; j < 5; ++j) m[i][j] = std::pow(kPoints[j], static_cast<double>(i));
  m[kResults - 1][5] = 1;
  return m;
}

// |m| * values * |m|^T; values(i, j) >= 0.
template <int kTo, int kFrom, class In>
Matrix<kTo, kTo> both(const Matrix<kTo, kFrom>& m, In&& values) {
  Matrix<kTo, kTo> out = {};
  for (size_t k = 0; k < kFrom; ++k)
    for (size_t l = 0; l < kFrom; ++l) {
      const double value = values(static_cast<int>(k), static_cast<int>(l));
      for (size_t i = 0; i < kTo; ++i)
        for (size_t j = 0; j < kTo; ++j) out[i][j] += std::fabs(m[i][k]) * std::fabs(m[j][l]) * value;
    }
  return out;
}

// Pixel (row, column) of an image [.., h, w, channels], 0 outside.
double pixel(const Values& x, int64_t n, int64_t h, int64_t w, int64_t channels, int64_t row, int64_t column,
             int64_t c) {
  if (row < 0 || row >= h || column < 0 || column >= w) return 0;
  return x[at(((n * h + row) * w + column) * channels + c)];
}

// Calls tile(n, p, q) for the first result of every tile.
template <class Tile>
void for_each_tile(const Conv2dShape& s, Tile&& tile) {
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t p = 0; p < s.p(); p += 4)
      for (int64_t q = 0; q < s.q(); q += 4) tile(n, p, q);
}

Matrix<6, 6> patch(const Conv2dShape& s, const Values& x, int64_t n, int64_t p, int64_t q, int64_t c) {
  static const Matrix<6, 6> m = image();
  return both<6, 6>(m, [&](int i, int j) { return pixel(x, n, s.h, s.w, s.c, p - s.pad_h + i, q - s.pad_w + j, c); });
}

}  // namespace

Values winograd_forward_magnitude(const Conv2dShape& s, const Values& x, const Values& w) {
  const Matrix<6, 3> to_u = filter<3>();
  const Matrix<4, 6> to_y = back<4>();
  std::vector<Matrix<6, 6>> u(at(s.k * s.c)), v(at(s.c));
  for (int64_t k = 0; k < s.k; ++k)
    for (int64_t c = 0; c < s.c; ++c)
      u[at(k * s.c + c)] = both<6, 3>(to_u, [&](int i, int j) { return w[at(((k * 3 + i) * 3 + j) * s.c + c)]; });
  Values y = zeros(s.output_pixels() * s.k);
  for_each_tile(s, [&](int64_t n, int64_t p, int64_t q) {
    for (int64_t c = 0; c < s.c; ++c) v[at(c)] = patch(s, x, n, p, q, c);
    for (int64_t k = 0; k < s.k; ++k) {
      const Matrix<4, 4> results = both<4, 6>(to_y, [&](int i, int j) {
        double sum = 0;
        for (int64_t c = 0; c < s.c; ++c) sum += u[at(k * s.c + c)][at(i)][at(j)] * v[at(c)][at(i)][at(j)];
        return sum;
      });
      for (int64_t i = p; i < std::min(p + 4, s.p()); ++i)
        for (int64_t j = q; j < std::min(q + 4, s.q()); ++j)
          y[at(((n * s.p() + i) * s.q() + j) * s.k + k)] = results[at(i - p)][at(j - q)];
    }
  });
  return y;
}

Values winograd_backward_input_magnitude(const Conv2dShape& s, const Values& dy, const Values& w) {
  const Conv2dShape mirrored{
      .n = s.n, .h = s.p(), .w = s.q(), .c = s.k, .k = s.c, .r = 3, .s = 3, .pad_h = 2 - s.pad_h, .pad_w = 2 - s.pad_w};
  Values filters = zeros(s.k * s.taps());
  for (int64_t k = 0; k < s.k; ++k)
    for (int64_t tap = 0; tap < 9; ++tap)
      for (int64_t c = 0; c < s.c; ++c) filters[at((c * 9 + 8 - tap) * s.k + k)] = w[at((k * 9 + tap) * s.c + c)];
  return winograd_forward_magnitude(mirrored, dy, filters);
}

Values winograd_backward_weight_magnitude(const Conv2dShape& s, const Values& x, const Values& dy) {
  const Matrix<6, 4> of_gradient = filter<4>();
  const Matrix<3, 6> to_w = back<3>();
  std::vector<Matrix<6, 6>> sums(at(s.k * s.c)), v(at(s.c));
  for_each_tile(s, [&](int64_t n, int64_t p, int64_t q) {
    for (int64_t c = 0; c < s.c; ++c) v[at(c)] = patch(s, x, n, p, q, c);
    for (int64_t k = 0; k < s.k; ++k) {
      const Matrix<6, 6> g =
          both<6, 4>(of_gradient, [&](int i, int j) { return pixel(dy, n, s.p(), s.q(), s.k, p + i, q + j, k); });
      for (int64_t c = 0; c < s.c; ++c)
        for (size_t i = 0; i < 6; ++i)
          for (size_t j = 0; j < 6; ++j) sums[at(k * s.c + c)][i][j] += g[i][j] * v[at(c)][i][j];
    }
  });
  Values dw = zeros(s.k * s.taps());
  for (int64_t k = 0; k < s.k; ++k)
    for (int64_t c = 0; c < s.c; ++c) {
      const Matrix<3, 3> taps = both<3, 6>(to_w, [&](int i, int j) { return sums[at(k * s.c + c)][at(i)][at(j)]; });
      for (int64_t tap = 0; tap < 9; ++tap) dw[at((k * 9 + tap) * s.c + c)] = taps[at(tap / 3)][at(tap % 3)];
    }
  return dw;
}

}  // namespace convoy::reference
