// How long do convolutions, in each direction, and matrix products take? Prints one JSON line per shape and direction:
// the median call in microseconds, and its rate (of convolutions every tap is counted, those in the padding too).
//
//   bench_products --what conv2d --batch 64 --threads 2
//   bench_products --what conv2d --device cuda --precision tf32 --conv-algo tensor-core
//   {"what":"conv2d","direction":"forward","n":64,"h":28,"w":28,"c":1,"k":32,"r":3,"stride":1,"pad":0,"us":…,"gflops":…}
//   bench_products --what gemm
//   {"what":"gemm","direction":"forward","m":1024,"n":1024,"k":1024,"us":…,"gflops":…}
//
// On a GPU a call is one of many in a replayed graph, so that the cost of launching does not count.
#include <cmath>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/device_options.h"
#include "bench/command_line.h"
#include "bench/median_time.h"
#include "tensor/cores.h"
#include "tensor/cpu/parallel.h"
#include "tensor/cuda/cuda.h"
#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/tensor.h"

namespace convoy {
namespace {

// The layers of mnist-cnn, cifar-cnn and resnet18, and a 1x1; the batch is chosen on the command line.
constexpr Conv2dShape kConvShapes[] = {
    {.h = 28, .w = 28, .c = 1, .k = 32, .r = 3, .s = 3},
    {.h = 32, .w = 32, .c = 3, .k = 32, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
    {.h = 16, .w = 16, .c = 32, .k = 64, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
    {.h = 8, .w = 8, .c = 64, .k = 128, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
    {.h = 32, .w = 32, .c = 64, .k = 64, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
    {.h = 16, .w = 16, .c = 128, .k = 128, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
    {.h = 8, .w = 8, .c = 256, .k = 256, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
    {.h = 4, .w = 4, .c = 512, .k = 512, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
    {.h = 32, .w = 32, .c = 64, .k = 128, .r = 3, .s = 3, .stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1},
    {.h = 14, .w = 14, .c = 256, .k = 64},
};

// c [m,n] = a [m,k] * b [k,n]: squares, and the linear layers of mnist-cnn and cifar-cnn at batch 64.
constexpr GemmShape kGemmShapes[] = {
    {.m = 1024, .n = 1024, .k = 1024},
    {.m = 4096, .n = 4096, .k = 4096},
    {.m = 64, .n = 128, .k = 21632},
    {.m = 64, .n = 512, .k = 2048},
};

struct Options {
  std::string what = "conv2d";
  int64_t batch = 64;
  int threads = available_cores();
  std::string device = "cpu", precision = "fp32", algorithm = "auto";
  double seconds = 0.2;  // of measurement for each line
};

// Activations or filters, as the stream stores them.
Tensor noise(const Shape& shape, uint32_t which) {
  Tensor values = Tensor::empty(shape, DType::f32, Device{});
  const RandomKey key{.stream = RandomStream::synthetic, .step = which};
  for (int64_t i = 0; i < values.count(); ++i)
    values.data<float>()[i] = 2 * random_uniform(key, static_cast<uint64_t>(i)) - 1;
  return convert(values.to(current_stream().device), activation_type(current_stream()));
}

// The median time of one call of `work`, in seconds.
double time_of(const std::function<void()>& work, double seconds) {
  const Stream& stream = current_stream();
  int calls = 1;  // in one measurement
  std::function<void()> measured = work;
  std::unique_ptr<cuda::Graph> graph;
  if (stream.device.kind == Device::Kind::cuda) {
    calls = 20;
    work();  // takes memory, which must not happen while a graph is recorded
    graph = std::make_unique<cuda::Graph>(stream, [&] {
      for (int i = 0; i < calls; ++i) work();
    });
    measured = [&] {
      graph->replay(stream);
      cuda::synchronize(stream);
    };
  }
  return median_time(measured, seconds) / calls;
}

void print(const Conv2dShape& s, const char* direction, double seconds) {
  std::cout << nlohmann::json{{"what", "conv2d"},
                              {"direction", direction},
                              {"n", s.n},
                              {"h", s.h},
                              {"w", s.w},
                              {"c", s.c},
                              {"k", s.k},
                              {"r", s.r},
                              {"stride", s.stride_h},
                              {"pad", s.pad_h},
                              {"us", std::round(seconds * 1e8) / 100},
                              {"gflops", std::round(2e-9 * static_cast<double>(s.multiply_adds()) / seconds * 10) / 10}}
            << std::endl;
}

void time_shape(const Conv2dShape& s, double seconds) {
  const Kernels& k = kernels(current_stream().device);
  const Tensor x = noise({s.n, s.h, s.w, s.c}, 1), w = noise({s.k, s.r, s.s, s.c}, 2),
               dy = noise({s.n, s.p(), s.q(), s.k}, 3);
  Tensor y = Tensor::empty(dy.shape(), dy.dtype()), dx = Tensor::empty(x.shape(), x.dtype()),
         dw = Tensor::empty(w.shape());
  print(s, "forward", time_of([&] { k.conv2d_forward(current_stream(), s, x, w, {}, y); }, seconds));
  if (s.c > 3) {  // the first layer's input wants no gradient
    print(s, "backward_input",
          time_of([&] { k.conv2d_backward_input(current_stream(), s, dy, w, false, dx); }, seconds));
  }
  print(s, "backward_weight",
        time_of([&] { k.conv2d_backward_weight(current_stream(), s, x, dy, false, dw.data<float>()); }, seconds));
}

// The three products of a linear layer: x * w^T, dy * w, dy^T * x.
void time_shape(const GemmShape& s, double seconds) {
  const Kernels& kernel = kernels(current_stream().device);
  const Tensor x = noise({s.m, s.k}, 1), w = noise({s.n, s.k}, 2), dy = noise({s.m, s.n}, 3);
  Tensor y = Tensor::empty({s.m, s.n}, dy.dtype()), dx = Tensor::empty({s.m, s.k}, x.dtype()),
         dw = Tensor::empty({s.n, s.k});
  struct Direction {
    const char* name;
    GemmShape shape;
    const Tensor &a, &b;
    Tensor& c;
  };
  const Direction directions[] = {
      {"forward", {.m = s.m, .n = s.n, .k = s.k, .transpose_b = true}, x, w, y},
      {"backward_input", {.m = s.m, .n = s.k, .k = s.n}, dy, w, dx},
      {"backward_weight", {.m = s.n, .n = s.k, .k = s.m, .transpose_a = true}, dy, x, dw},
  };
  for (const Direction& d : directions) {
    const double time = time_of([&] { kernel.gemm(current_stream(), d.shape, d.a, d.b, {}, false, d.c); }, seconds);
    const double operations = 2.0 * static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k);
    std::cout << nlohmann::json{{"what", "gemm"},
                                {"direction", d.name},
                                {"m", s.m},
                                {"n", s.n},
                                {"k", s.k},
                                {"us", std::round(time * 1e8) / 100},
                                {"gflops", std::round(1e-9 * operations / time * 10) / 10}}
              << std::endl;
  }
}

void run(const Options& options) {
  Stream stream{.threads = options.threads};
  if (options.device != "cpu") stream = cuda::make_stream(0);
  stream.precision = find_precision(options.precision).value;
  stream.convolution = find_convolution_algorithm(options.algorithm).value;
  set_current_stream(stream);
  if (options.what == "gemm") {
    for (const GemmShape& shape : kGemmShapes) time_shape(shape, options.seconds);
    return;
  }
  for (Conv2dShape shape : kConvShapes) {
    shape.n = options.batch;
    time_shape(shape, options.seconds);
  }
}

}  // namespace
}  // namespace convoy

int main(int argc, char** argv) {
  convoy::limit_openmp_spinning(argv);
  convoy::Options options;
  CLI::App app("Times products on data in memory.");
  app.add_option("--what", options.what, "conv2d or gemm")
      ->capture_default_str()
      ->check(CLI::IsMember({"conv2d", "gemm"}));
  app.add_option("--batch", options.batch, "images of a convolution")->capture_default_str()->check(convoy::kCount);
  app.add_option("--threads", options.threads, "OpenMP threads")->capture_default_str()->check(convoy::kThreads);
  app.add_option("--device", options.device, "cpu or cuda")
      ->capture_default_str()
      ->check(CLI::IsMember({"cpu", "cuda"}));
  app.add_option("--precision", options.precision, "fp32, tf32 or bf16")->capture_default_str();
  app.add_option("--conv-algo", options.algorithm,
                 "auto, gemm or winograd; on a GPU im2col, tiled, tensor-core or direct")
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "to measure each line")->capture_default_str()->check(convoy::kSeconds);
  return convoy::run_program(app, argc, argv, [&] { convoy::run(options); });
}
