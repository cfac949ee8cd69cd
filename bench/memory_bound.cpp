// How long do the kernels take that are bound by memory: pooling, batch norm, elementwise functions, optimizers? Prints one
// JSON line for each: the median call in microseconds and the bytes that it has to move at least, each input read once and each
// output written once.
//
//   bench_memory_bound --threads 2
//   {"bytes":…,"kernel":"max_pool_forward","shape":"64×32×32×32, 2×2","us":…}
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/command_line.h"
#include "bench/median_time.h"
#include "tensor/cores.h"
#include "tensor/cpu/parallel.h"
#include "tensor/kernel_observer.h"
#include "tensor/tensor.h"

namespace convoy {
namespace {

Tensor noise(const Shape& shape) {
  Tensor values = Tensor::empty(shape);
  for (int64_t i = 0; i < values.count(); ++i)
    values.data<float>()[i] = random_uniform({.stream = RandomStream::synthetic}, static_cast<uint64_t>(i)) - 0.5f;
  return values;
}

struct Bench {
  const Stream& stream;
  double seconds;

  // `work` calls one kernel, of k(), which is asked what it is and costs.
  const Kernels& k() const { return kernels(stream.device); }
  void time(const std::string& shape, const std::function<void()>& work) const {
    const char* kernel = "";
    double bytes = 0;
    {
      const KernelObserver observer([&](const KernelCall& call) {
        kernel = call.kernel;
        bytes = call.cost.bytes;
      });
      work();
    }
    const double us = 1e6 * median_time(work, seconds);
    std::cout << nlohmann::json{{"kernel", kernel}, {"shape", shape}, {"bytes", bytes}, {"us", us}} << std::endl;
  }

  void max_pool(const Pool2dShape& s, const std::string& text) const {
    const Tensor x = noise({s.n, s.h, s.w, s.c}), dy = noise({s.n, s.p(), s.q(), s.c});
    Tensor y = noise(dy.shape()), dx = noise(x.shape());
    Tensor index = Tensor::empty(dy.shape(), DType::u8);
    uint8_t* const position = index.data<uint8_t>();
    time(text, [&] { k().max_pool_forward(stream, s, x, y, position); });
    time(text, [&] { k().max_pool_backward(stream, s, dy, position, false, dx); });
  }

  void batch_norm(int64_t rows, int64_t channels, const std::string& text) const {
    const Tensor x = noise({rows, channels}), dy = noise({rows, channels});
    Tensor y = noise(x.shape());
    std::vector<float> mean(static_cast<size_t>(channels)), variance(mean), gamma(mean.size(), 1), beta(mean),
        dgamma(mean), dbeta(mean);
    time(text, [&] { k().batch_norm_statistics(stream, rows, channels, x, mean.data(), variance.data()); });
    time(text, [&] {
      k().batch_norm_normalize(stream, rows, channels, x, mean.data(), variance.data(), 1e-5f, gamma.data(),
                               beta.data(), true, y);
    });
    time(text, [&] {
      k().batch_norm_backward_reduce(stream, rows, channels, x, dy, mean.data(), variance.data(), 1e-5f, gamma.data(),
                                     beta.data(), true, dgamma.data(), dbeta.data());
    });
    time(text, [&] {
      k().batch_norm_backward_input(stream, rows, channels, rows, x, dy, mean.data(), variance.data(), 1e-5f,
                                    gamma.data(), beta.data(), true, dgamma.data(), dbeta.data(), false, y);
    });
  }

  void batch_norm_max_pool(const Pool2dShape& s, const std::string& text) const {
    const Tensor x = noise({s.n, s.h, s.w, s.c}), dy = noise({s.n, s.p(), s.q(), s.c});
    Tensor y = noise(dy.shape()), x_at_max = noise(dy.shape()), dx = noise(x.shape());
    Tensor index = Tensor::empty(dy.shape(), DType::u8);
    uint8_t* const position = index.data<uint8_t>();
    const std::vector<float> zero(static_cast<size_t>(s.c)), one(zero.size(), 1);
    time(text, [&] {
      k().batch_norm_max_pool(stream, s, x, zero.data(), one.data(), 1e-5f, one.data(), zero.data(), true, y, x_at_max,
                              position);
    });
    time(text, [&] {
      k().batch_norm_max_pool_backward_input(stream, s, s.n * s.h * s.w, x, dy, position, zero.data(), one.data(),
                                             1e-5f, one.data(), zero.data(), true, one.data(), one.data(), false, dx);
    });
  }

  void bias_relu(int64_t rows, int64_t columns, const std::string& text) const {
    const Tensor y = noise({rows, columns}), dy = noise({rows, columns});
    Tensor dz = noise(y.shape());
    std::vector<float> dbias(static_cast<size_t>(columns));
    time(text, [&] { k().bias_relu_backward(stream, rows, columns, y, dy, dz, false, dbias.data()); });
  }

  void optimizers(int64_t count, const std::string& text) const {
    const Tensor gradient = noise({count});
    Tensor value = noise({count}), first = noise({count}), second = noise({count});
    for (int64_t i = 0; i < count; ++i) second.data<float>()[i] += 0.5f;
    const ParameterSlice slice{.count = count,
                               .value = value.data<float>(),
                               .gradient = gradient.data<float>(),
                               .first = first.data<float>(),
                               .second = second.data<float>()};
    time(text, [&] { k().adam_step(stream, {.lr = 1e-6f}, {&slice, 1}); });
    time(text, [&] { k().sgd_step(stream, {.lr = 1e-6f, .momentum = 0.9f}, {&slice, 1}); });
  }

  // A linear layer's update from its input and the gradient of its result, at once; gemm and adam_step, printed as rows of their own,
  // do the same.
  void fused_update(int64_t out, int64_t in, int64_t samples, const std::string& text) const {
    const Tensor dy = noise({samples, out}), x = noise({samples, in});
    Tensor value = noise({out, in}), first = noise({out, in}), second = noise({out, in}), gradient = noise({out, in});
    for (int64_t i = 0; i < second.count(); ++i) second.data<float>()[i] += 0.5f;
    const ParameterSlice slice{.count = out * in,
                               .value = value.data<float>(),
                               .gradient = gradient.data<float>(),
                               .first = first.data<float>(),
                               .second = second.data<float>()};
    time(text,
         [&] { k().gemm(stream, {.m = out, .n = in, .k = samples, .transpose_a = true}, dy, x, {}, false, gradient); });
    time(text, [&] { k().adam_step(stream, {.lr = 1e-6f}, {&slice, 1}); });
    time(text, [&] { k().gemm_adam_step(stream, out, in, samples, dy, x, {.lr = 1e-6f}, slice); });
  }
};

void run(const Stream& stream, double seconds) {
  set_current_stream(stream);
  const Bench bench{stream, seconds};
  const Pool2dShape halves{.n = 64, .h = 32, .w = 32, .c = 32, .r = 2, .s = 2, .stride_h = 2, .stride_w = 2};
  bench.max_pool(halves, "64×32×32×32, 2×2");
  bench.batch_norm(64 * 32 * 32, 32, "65,536×32");
  bench.batch_norm(64 * 32 * 32, 64, "65,536×64");
  bench.batch_norm_max_pool(halves, "64×32×32×32, 2×2");
  bench.bias_relu(64 * 26 * 26, 32, "43,264×32");
  bench.fused_update(128, 21632, 64, "128×21,632, 64 samples");
  bench.optimizers(2'770'634, "2.8 M parameters");
  bench.optimizers(11'173'962, "11 M parameters");
}

}  // namespace
}  // namespace convoy

int main(int argc, char** argv) {
  convoy::limit_openmp_spinning(argv);
  convoy::Stream stream{.threads = convoy::available_cores()};
  double seconds = 0.2;
  CLI::App app("Times the kernels that are bound by memory.");
  app.add_option("--threads", stream.threads, "OpenMP threads")->capture_default_str()->check(convoy::kThreads);
  app.add_option("--seconds", seconds, "to measure each")->capture_default_str()->check(convoy::kSeconds);
  return convoy::run_program(app, argc, argv, [&] { convoy::run(stream, seconds); });
}
