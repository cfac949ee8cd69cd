#include "tests/reference.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace convoy::reference {

double bf16(double x) {
  if (x == 0 || !std::isfinite(x)) return x;
  const double unit = std::ldexp(1.0, std::max(std::ilogb(x), -126) - 7);
  const double rounded = std::nearbyint(x / unit) * unit;
  return std::fabs(rounded) < 0x1p128 ? rounded : std::copysign(std::numeric_limits<double>::infinity(), x);
}

// --- products -----------------------------------------------------------------------------------------------------

Values gemm(const GemmShape& s, const Values& a, const Values& b, Values c, const Values& bias, bool relu) {
  c.resize(at(s.m * s.n));
  for (int64_t i = 0; i < s.m; ++i) {
    for (int64_t j = 0; j < s.n; ++j) {
      double& sum = c[at(i * s.n + j)];
      for (int64_t l = 0; l < s.k; ++l) {
        sum += a[at(s.transpose_a ? l * s.m + i : i * s.k + l)] * b[at(s.transpose_b ? j * s.k + l : l * s.n + j)];
      }
      if (!bias.empty()) sum += bias[at(j)];
      if (relu) sum = std::max(sum, 0.0);
    }
  }
  return c;
}

// --- convolution --------------------------------------------------------------------------------------------------

namespace {

// Calls term(index in x, index in w, index in y) for every product of y[n,p,q,k] = sum of x * w.
template <class Term>
void for_each_product(const Conv2dShape& s, Term&& term) {
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t p = 0; p < s.p(); ++p)
      for (int64_t q = 0; q < s.q(); ++q)
        for (int64_t k = 0; k < s.k; ++k)
          for (int64_t r = 0; r < s.r; ++r)
            for (int64_t t = 0; t < s.s; ++t) {
              const int64_t h = p * s.stride_h + r - s.pad_h, w = q * s.stride_w + t - s.pad_w;
              if (h < 0 || h >= s.h || w < 0 || w >= s.w) continue;
              for (int64_t c = 0; c < s.c; ++c) {
                term(at(((n * s.h + h) * s.w + w) * s.c + c), at(((k * s.r + r) * s.s + t) * s.c + c),
                     at(((n * s.p() + p) * s.q() + q) * s.k + k));
              }
            }
}

}  // namespace

Values conv2d_forward(const Conv2dShape& s, const Values& x, const Values& w, const Values& bias, bool relu) {
  Values y = zeros(s.output_pixels() * s.k);
  for_each_product(s, [&](size_t ix, size_t iw, size_t iy) { y[iy] += x[ix] * w[iw]; });
  for (size_t i = 0; i < y.size(); ++i) {
    if (!bias.empty()) y[i] += bias[i % at(s.k)];
    if (relu) y[i] = std::max(y[i], 0.0);
  }
  return y;
}

Values conv2d_backward_input(const Conv2dShape& s, const Values& dy, const Values& w, Values dx) {
  dx.resize(at(s.n * s.h * s.w * s.c));
  for_each_product(s, [&](size_t ix, size_t iw, size_t iy) { dx[ix] += dy[iy] * w[iw]; });
  return dx;
}

Values conv2d_backward_weight(const Conv2dShape& s, const Values& x, const Values& dy, Values dw) {
  dw.resize(at(s.k * s.taps()));
  for_each_product(s, [&](size_t ix, size_t iw, size_t iy) { dw[iw] += x[ix] * dy[iy]; });
  return dw;
}

// --- pooling ------------------------------------------------------------------------------------------------------

namespace {

// Calls pixel(index in x, index in y, tap r * S + s) for every pixel inside the image of every window, taps
// in ascending order.
template <class Pixel>
void for_each_window_pixel(const Pool2dShape& s, Pixel&& pixel) {
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t p = 0; p < s.p(); ++p)
      for (int64_t q = 0; q < s.q(); ++q)
        for (int64_t r = 0; r < s.r; ++r)
          for (int64_t t = 0; t < s.s; ++t) {
            const int64_t h = p * s.stride_h + r - s.pad_h, w = q * s.stride_w + t - s.pad_w;
            if (h < 0 || h >= s.h || w < 0 || w >= s.w) continue;
            for (int64_t c = 0; c < s.c; ++c) {
              pixel(at(((n * s.h + h) * s.w + w) * s.c + c), at(((n * s.p() + p) * s.q() + q) * s.c + c), r * s.s + t);
            }
          }
}

}  // namespace

MaxPool max_pool_forward(const Pool2dShape& s, const Values& x) {
  const size_t outputs = at(s.n * s.p() * s.q() * s.c);
  MaxPool result{Values(outputs), std::vector<uint8_t>(outputs)};
  std::vector<bool> seen(outputs);
  for_each_window_pixel(s, [&](size_t ix, size_t iy, int64_t tap) {
    const double best = result.y[iy];
    if (seen[iy] && !(x[ix] > best) && !(std::isnan(x[ix]) && !std::isnan(best))) return;
    seen[iy] = true;
    result.y[iy] = x[ix];
    result.index[iy] = static_cast<uint8_t>(tap);
  });
  return result;
}

Values max_pool_backward(const Pool2dShape& s, const Values& dy, const std::vector<uint8_t>& index, Values dx) {
  dx.resize(at(s.n * s.h * s.w * s.c));
  for_each_window_pixel(s, [&](size_t ix, size_t iy, int64_t tap) {
    if (index[iy] == tap) dx[ix] += dy[iy];
  });
  return dx;
}

Values average_pool_forward(const Pool2dShape& s, const Values& x) {
  Values y = zeros(s.n * s.p() * s.q() * s.c);
  for_each_window_pixel(s, [&](size_t ix, size_t iy, int64_t) { y[iy] += x[ix] / static_cast<double>(s.r * s.s); });
  return y;
}

Values average_pool_backward(const Pool2dShape& s, const Values& dy, Values dx) {
  dx.resize(at(s.n * s.h * s.w * s.c));
  for_each_window_pixel(s, [&](size_t ix, size_t iy, int64_t) { dx[ix] += dy[iy] / static_cast<double>(s.r * s.s); });
  return dx;
}

// --- batch norm: x [rows, channels] -------------------------------------------------------------------------------

Moments batch_norm_statistics(int64_t rows, int64_t channels, const Values& x) {
  Moments m{zeros(channels), zeros(channels)};
  for (int64_t c = 0; c < channels && rows > 0; ++c) {
    for (int64_t r = 0; r < rows; ++r) m.mean[at(c)] += x[at(r * channels + c)];
    m.mean[at(c)] /= static_cast<double>(rows);
    for (int64_t r = 0; r < rows; ++r) m.variance[at(c)] += std::pow(x[at(r * channels + c)] - m.mean[at(c)], 2);
    m.variance[at(c)] /= static_cast<double>(rows);
  }
  return m;
}

Values batch_norm_normalize(int64_t rows, int64_t channels, const Values& x, const Moments& m, double epsilon,
                            const Values& gamma, const Values& beta, bool relu) {
  Values y = zeros(rows * channels);
  for (size_t i = 0; i < y.size(); ++i) {
    const size_t c = i % at(channels);
    y[i] = (x[i] - m.mean[c]) / std::sqrt(m.variance[c] + epsilon) * gamma[c] + beta[c];
    if (relu) y[i] = std::max(y[i], 0.0);
  }
  return y;
}

BatchNormSums batch_norm_backward_reduce(int64_t rows, int64_t channels, const Values& x, const Values& dy,
                                         const Moments& m, double epsilon, const Values& gamma, const Values& beta,
                                         bool relu) {
  const Values y = batch_norm_normalize(rows, channels, x, m, epsilon, gamma, beta);
  BatchNormSums sums{zeros(channels), zeros(channels)};
  for (size_t i = 0; i < y.size(); ++i) {
    const size_t c = i % at(channels);
    const double dz = relu && !(y[i] > 0) ? 0 : dy[i];
    sums.dgamma[c] += dz * (x[i] - m.mean[c]) / std::sqrt(m.variance[c] + epsilon);
    sums.dbeta[c] += dz;
  }
  return sums;
}

Values batch_norm_backward_input(int64_t rows, int64_t channels, int64_t total_rows, const Values& x, const Values& dy,
                                 const Moments& m, double epsilon, const Values& gamma, const Values& beta, bool relu,
                                 const BatchNormSums& sums, Values dx) {
  const Values y = batch_norm_normalize(rows, channels, x, m, epsilon, gamma, beta);
  const double total = static_cast<double>(total_rows);
  dx.resize(y.size());
  for (size_t i = 0; i < y.size(); ++i) {
    const size_t c = i % at(channels);
    const double deviation = std::sqrt(m.variance[c] + epsilon);
    const double dz = relu && !(y[i] > 0) ? 0 : dy[i];
    dx[i] +=
        gamma[c] / deviation * (dz - sums.dbeta[c] / total - (x[i] - m.mean[c]) / deviation * sums.dgamma[c] / total);
  }
  return dx;
}

Moments batch_norm_update_running(int64_t rows, double momentum, const Moments& batch, Moments running) {
  for (size_t c = 0; c < running.mean.size(); ++c) {
    const double rows_less_one = rows > 1 ? static_cast<double>(rows - 1) : 1;
    const double unbiased = batch.variance[c] * static_cast<double>(rows) / rows_less_one;
    running.mean[c] = (1 - momentum) * running.mean[c] + momentum * batch.mean[c];
    running.variance[c] = (1 - momentum) * running.variance[c] + momentum * unbiased;
  }
  return running;
}

// --- elementwise --------------------------------------------------------------------------------------------------

namespace {

double normal_density(double x) { return std::exp(-0.5 * x * x) / std::sqrt(2 * M_PI); }
double normal_distribution(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }
double logistic(double x) { return 1 / (1 + std::exp(-x)); }

double value(Unary function, double x) {
  switch (function) {
    case Unary::relu:
      return std::isnan(x) ? x : std::max(x, 0.0);
    case Unary::gelu:
      return x * normal_distribution(x);
    case Unary::sigmoid:
      return logistic(x);
    case Unary::tanh:
      return std::tanh(x);
  }
  return std::numeric_limits<double>::quiet_NaN();
}

double derivative(Unary function, double x) {
  switch (function) {
    case Unary::relu:
      return x > 0 ? 1 : 0;
    case Unary::gelu:
      return normal_distribution(x) + x * normal_density(x);
    case Unary::sigmoid:
      return logistic(x) * logistic(-x);
    case Unary::tanh:
      return 1 - std::tanh(x) * std::tanh(x);
  }
  return std::numeric_limits<double>::quiet_NaN();
}

double value(Binary function, double a, double b) { return function == Binary::add ? a + b : a * b; }

}  // namespace

double derivative_a(Binary function, double, double b) { return function == Binary::add ? 1 : b; }
double derivative_b(Binary function, double a, double) { return function == Binary::add ? 1 : a; }

Values unary_forward(Unary function, const Values& x) {
  Values y(x.size());
  for (size_t i = 0; i < x.size(); ++i) y[i] = value(function, x[i]);
  return y;
}

Values unary_backward(Unary function, const Values& x, const Values& dy, Values dx) {
  dx.resize(x.size());
  for (size_t i = 0; i < x.size(); ++i) dx[i] += dy[i] * derivative(function, x[i]);
  return dx;
}

Values binary_forward(Binary function, const Values& a, const Values& b) {
  Values y(a.size());
  for (size_t i = 0; i < a.size(); ++i) y[i] = value(function, a[i], b[i]);
  return y;
}

Values dropout(float probability, const RandomKey& key, uint64_t offset, const Values& x) {
  Values y(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    y[i] = random_uniform(key, offset + i) >= probability ? x[i] / (1 - static_cast<double>(probability)) : 0;
  }
  return y;
}

// --- bias and reductions ------------------------------------------------------------------------------------------

Values bias_forward(int64_t columns, const Values& x, const Values& bias) {
  Values y(x.size());
  for (size_t i = 0; i < x.size(); ++i) y[i] = x[i] + bias[i % at(columns)];
  return y;
}

Values column_sum(int64_t rows, int64_t columns, const Values& x, Values out) {
  out.resize(at(columns));
  for (size_t i = 0; i < at(rows * columns); ++i) out[i % at(columns)] += x[i];
  return out;
}

Values relu_backward(const Values& y, const Values& dy) {
  Values dz(y.size());
  for (size_t i = 0; i < y.size(); ++i) dz[i] = y[i] > 0 ? dy[i] : 0;
  return dz;
}

std::vector<int32_t> argmax(int64_t rows, int64_t columns, const Values& x) {
  std::vector<int32_t> out;
  for (int64_t row = 0; row < rows; ++row) {
    const auto begin = x.begin() + row * columns;
    out.push_back(static_cast<int32_t>(std::max_element(begin, begin + columns) - begin));  // the first of several
  }
  return out;
}

// --- loss ---------------------------------------------------------------------------------------------------------

double target(int64_t classes, int64_t j, int32_t label, double smoothing) {
  return (j == label ? 1 - smoothing : 0) + smoothing / static_cast<double>(classes);
}

CrossEntropy softmax_cross_entropy_forward(int64_t rows, int64_t classes, const Values& logits,
                                           const std::vector<int32_t>& labels, double smoothing) {
  CrossEntropy result{zeros(rows * classes), zeros(rows)};
  for (int64_t row = 0; row < rows; ++row) {
    const double* const x = logits.data() + row * classes;
    const double largest = *std::max_element(x, x + classes);
    double total = 0;
    for (int64_t j = 0; j < classes; ++j) total += std::exp(x[j] - largest);
    for (int64_t j = 0; j < classes; ++j) {
      const double log_probability = x[j] - largest - std::log(total);
      result.probability[at(row * classes + j)] = std::exp(log_probability);
      result.loss[at(row)] -= target(classes, j, labels[at(row)], smoothing) * log_probability;
    }
  }
  return result;
}

Values softmax_cross_entropy_backward(int64_t rows, int64_t classes, const Values& probability,
                                      const std::vector<int32_t>& labels, double smoothing, double dloss, double scale,
                                      Values dlogits) {
  dlogits.resize(at(rows * classes));
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t j = 0; j < classes; ++j) {
      const size_t i = at(row * classes + j);
      dlogits[i] += (probability[i] - target(classes, j, labels[at(row)], smoothing)) * dloss * scale;
    }
  }
  return dlogits;
}

// --- optimizers: one parameter; moments are updated in place ------------------------------------------------------

void sgd_step(const SgdStep& step, Values& value, const Values& gradient, Values& momentum_buffer) {
  for (size_t i = 0; i < value.size(); ++i) {
    double g = gradient[i] + step.weight_decay * value[i];
    if (!momentum_buffer.empty()) {
      momentum_buffer[i] = step.momentum * momentum_buffer[i] + g;
      g = step.nesterov ? g + step.momentum * momentum_buffer[i] : momentum_buffer[i];
    }
    value[i] -= step.lr * g;
  }
}

void adam_step(const AdamStep& step, Values& value, const Values& gradient, Values& first, Values& second) {
  const double beta1 = step.beta1, beta2 = step.beta2, lr = step.lr;
  for (size_t i = 0; i < value.size(); ++i) {
    const double g = gradient[i] + (step.decoupled ? 0.0 : step.weight_decay * value[i]);
    if (step.decoupled) value[i] -= lr * step.weight_decay * value[i];
    first[i] = beta1 * first[i] + (1 - beta1) * g;
    second[i] = beta2 * second[i] + (1 - beta2) * g * g;
    value[i] -= lr / step.correction1 * first[i] / (std::sqrt(second[i] / step.correction2) + step.epsilon);
  }
}

double clip_scale(float max_norm, const Values& gradients) {
  double squares = 0;
  for (const double gradient : gradients) squares += gradient * gradient;
  return std::min(1.0, static_cast<double>(max_norm) / (std::sqrt(squares) + 1e-6));
}

// --- data ---------------------------------------------------------------------------------------------------------

Values image_batch(const ImageBatchShape& s, const std::vector<uint8_t>& images, const std::vector<int32_t>& index) {
  Values out;
  for (int64_t n = 0; n < s.n; ++n) {
    const Random4 random = philox(s.key, static_cast<uint64_t>(index[at(n)]));
    const uint32_t offsets = static_cast<uint32_t>(2 * s.crop_pad + 1);
    const int64_t top = random_below(random.v[0], offsets), left = random_below(random.v[1], offsets);
    for (int64_t h = 0; h < s.h; ++h)
      for (int64_t w = 0; w < s.w; ++w)
        for (int64_t c = 0; c < s.c; ++c) {
          const int64_t row = h + top - s.crop_pad;
          int64_t column = w + left - s.crop_pad;
          if (s.flip && random.v[2] >= 0x80000000u) column = s.w - 1 - column;
          const bool inside = row >= 0 && row < s.h && column >= 0 && column < s.w;
          const double pixel = inside ? images[at(((index[at(n)] * s.h + row) * s.w + column) * s.c + c)] : 0;
          out.push_back((pixel / 255 - s.mean[c]) * s.inverse_std[c]);
        }
  }
  return out;
}

}  // namespace convoy::reference
