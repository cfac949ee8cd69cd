// From the formula to the kernel: one convolution, forward, by ever faster means. Prints a table in Markdown; each figure is the
// median over interleaved rounds. docs/performance.md explains the rungs.
//
//   bench_ladder --threads 2
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "bench/command_line.h"
#include "bench/median_time.h"
#include "tensor/cores.h"
#include "tensor/cpu/limits.h"
#include "tensor/cpu/parallel.h"
#include "tensor/kernels.h"
#include "tensor/tensor.h"

namespace convoy {
namespace {

Tensor noise(const Shape& shape, uint32_t step) {
  Tensor values = Tensor::empty(shape);
  for (int64_t i = 0; i < values.count(); ++i)
    values.data<float>()[i] =
        random_uniform({.stream = RandomStream::synthetic, .step = step}, static_cast<uint64_t>(i)) - 0.5f;
  return values;
}

// The formula of conv_shape.h, word for word.
void seven_loops(const Conv2dShape& s, const float* x, const float* w, float* y) {
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t p = 0; p < s.p(); ++p)
      for (int64_t q = 0; q < s.q(); ++q)
        for (int64_t k = 0; k < s.k; ++k) {
          float sum = 0;
          for (int64_t r = 0; r < s.r; ++r)
            for (int64_t t = 0; t < s.s; ++t) {
              const int64_t h = p + r - s.pad_h, v = q + t - s.pad_w;
              if (h < 0 || h >= s.h || v < 0 || v >= s.w) continue;
              for (int64_t c = 0; c < s.c; ++c)
                sum += x[((n * s.h + h) * s.w + v) * s.c + c] * w[((k * s.r + r) * s.s + t) * s.c + c];
            }
          y[((n * s.p() + p) * s.q() + q) * s.k + k] = sum;
        }
}

// The innermost loop over filters, which lie side by side: independent sums that the compiler puts into vectors.
void filters_inside(const Conv2dShape& s, const float* x, const float* w_rsck, float* y) {
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t p = 0; p < s.p(); ++p)
      for (int64_t q = 0; q < s.q(); ++q) {
        float* __restrict const out = y + ((n * s.p() + p) * s.q() + q) * s.k;
        for (int64_t k = 0; k < s.k; ++k) out[k] = 0;
        for (int64_t r = 0; r < s.r; ++r)
          for (int64_t t = 0; t < s.s; ++t) {
            const int64_t h = p + r - s.pad_h, v = q + t - s.pad_w;
            if (h < 0 || h >= s.h || v < 0 || v >= s.w) continue;
            const float* const pixel = x + ((n * s.h + h) * s.w + v) * s.c;
            const float* const filters = w_rsck + (r * s.s + t) * s.c * s.k;
            for (int64_t c = 0; c < s.c; ++c)
              for (int64_t k = 0; k < s.k; ++k) out[k] += pixel[c] * filters[c * s.k + k];
          }
      }
}

void make_im2col(const Conv2dShape& s, const float* x, float* matrix) {
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t p = 0; p < s.p(); ++p)
      for (int64_t q = 0; q < s.q(); ++q)
        for (int64_t r = 0; r < s.r; ++r)
          for (int64_t t = 0; t < s.s; ++t) {
            const int64_t h = p + r - s.pad_h, v = q + t - s.pad_w;
            const bool inside = h >= 0 && h < s.h && v >= 0 && v < s.w;
            for (int64_t c = 0; c < s.c; ++c) *matrix++ = inside ? x[((n * s.h + h) * s.w + v) * s.c + c] : 0.0f;
          }
}

struct Rung {
  std::string name;
  int threads;
  std::function<void()> work;
  std::vector<double> seconds = {};

  double median() {
    std::sort(seconds.begin(), seconds.end());
    return seconds[seconds.size() / 2];
  }
};

void run(int64_t batch, int threads, int rounds) {
  const Conv2dShape s{.n = batch, .h = 32, .w = 32, .c = 64, .k = 64, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
  const Tensor x = noise({s.n, s.h, s.w, s.c}, 1), w = noise({s.k, s.r, s.s, s.c}, 2);
  Tensor y = Tensor::empty({s.n, s.p(), s.q(), s.k}), rsck = Tensor::empty({s.taps(), s.k}),
         matrix = Tensor::empty({s.output_pixels(), s.taps()});
  for (int64_t k = 0; k < s.k; ++k)
    for (int64_t tap = 0; tap < s.taps(); ++tap)
      rsck.data<float>()[tap * s.k + k] = w.data<float>()[k * s.taps() + tap];

  std::vector<Rung> rungs;
  rungs.push_back(
      {"the formula, seven loops", 1, [&] { seven_loops(s, x.data<float>(), w.data<float>(), y.data<float>()); }});
  rungs.push_back({"filters in the innermost loop", 1,
                   [&] { filters_inside(s, x.data<float>(), rsck.data<float>(), y.data<float>()); }});
  const auto add = [&](const char* name, const Kernels* table, ConvolutionAlgorithm algorithm, int with) {
    const Stream stream{.threads = with, .convolution = algorithm};
    rungs.push_back({name, with, [&s, &x, &w, &y, table, stream] { table->conv2d_forward(stream, s, x, w, {}, y); }});
  };
  const auto tables = cpu_kernel_tables();
  for (const Kernels* table : tables) {
    if (table == tables.back()) {
      const std::string name = std::string("im2col in memory, blocked product, ") + table->name;
      rungs.push_back({name, 1, [&, table] {
                         make_im2col(s, x.data<float>(), matrix.data<float>());
                         table->gemm({.threads = 1}, {.m = s.output_pixels(), .n = s.k, .k = s.taps()}, matrix, rsck,
                                     {}, false, y);
                       }});
    }
    const std::string name = std::string("straight from the image, ") + table->name;
    add(name.c_str(), table, ConvolutionAlgorithm::gemm, 1);
  }
  add("Winograd's F(4x4, 3x3)", tables.back(), ConvolutionAlgorithm::winograd, 1);
  if (threads > 1) {
    const std::string name = fmt::format("… on {} threads", threads);
    add(name.c_str(), tables.back(), ConvolutionAlgorithm::winograd, threads);
  }

  std::vector<double> peaks;
  for (int round = 0; round < rounds; ++round) {
    peaks.push_back(fma_peak({.threads = 1}));
    for (Rung& rung : rungs) rung.seconds.push_back(median_time(rung.work, 0.05));
    std::cerr << fmt::format("ladder: round {} of {}\n", round + 1, rounds);
  }
  std::sort(peaks.begin(), peaks.end());
  const double peak = peaks[peaks.size() / 2], work = 2.0 * static_cast<double>(s.multiply_adds());
  std::cout << fmt::format("{} images of 32×32, 64 → 64 channels, 3×3; peak of one thread: {:.0f} GFLOP/s\n\n", s.n,
                           peak * 1e-9)
            << "| rung | ms | GFLOP/s | times the one before | of its threads' peak |\n|---|--:|--:|--:|--:|\n";
  double before = 0;
  for (Rung& rung : rungs) {
    const double seconds = rung.median();
    std::cout << fmt::format("| {} | {:.1f} | {:.1f} | {} | {:.0f} % |\n", rung.name, seconds * 1e3,
                             work / seconds * 1e-9, before == 0 ? "" : fmt::format("{:.1f}×", before / seconds),
                             100 * work / seconds / (peak * rung.threads));
    before = seconds;
  }
}

}  // namespace
}  // namespace convoy

int main(int argc, char** argv) {
  convoy::limit_openmp_spinning(argv);
  int64_t batch = 8;
  int threads = convoy::available_cores(), rounds = 7;
  CLI::App app("One convolution by ever faster means.");
  app.add_option("--batch", batch, "images")->capture_default_str()->check(convoy::kCount);
  app.add_option("--threads", threads, "of the last rung")->capture_default_str()->check(convoy::kThreads);
  app.add_option("--rounds", rounds, "of which the medians are printed")->capture_default_str()->check(convoy::kCount);
  return convoy::run_program(app, argc, argv, [&] { convoy::run(batch, threads, rounds); });
}
