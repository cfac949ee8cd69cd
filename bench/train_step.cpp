// How long does one training step take? Forward, backward and optimizer update on batches of noise that lie
// in memory; the data loader is not under test. With --inference: the forward pass alone, as evaluation runs it. Prints one
// JSON line with the same keys as the peers' scripts: the median step as samples per second, and the slow (p10) and fast
// (p90) ends.
//
//   bench_train_step --model cifar-cnn --batch 64 --threads 2 --seconds 4
//   {"batch":64,"isa":"avx512","model":"cifar-cnn","p10":…,"p90":…,"samples_per_second":…,"steps":…,"threads":2}
#include <algorithm>
#include <chrono>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "autograd/optimizer.h"
#include "bench/command_line.h"
#include "layers/models.h"
#include "tensor/cores.h"
#include "tensor/cpu/parallel.h"
#include "tensor/kernels.h"
#include "tensor/seconds_since.h"

namespace convoy {
namespace {

constexpr int64_t kClasses = 10;
constexpr int kBatches = 8;      // more than a cache holds, as in an epoch
constexpr int kWarmUpSteps = 6;  // pool and pages are in place after the first, clocks and caches after the others

struct Settings {
  std::string model = "mnist-cnn";
  int64_t batch = 64;
  int threads = available_cores();
  double seconds = 4;
  bool inference = false;
};

struct Batch {
  Tensor images;  // [N,H,W,C], uniform in [-1, 1)
  Tensor labels;  // i32 [N]
};

Batch noise(int64_t n, const ImageExtent& image, uint32_t which) {
  const RandomKey key{.stream = RandomStream::synthetic, .step = which};
  Batch batch{Tensor::empty({n, image.h, image.w, image.c}), Tensor::empty({n}, DType::i32)};
  float* pixels = batch.images.data<float>();
  for (int64_t i = 0; i < batch.images.count(); ++i) pixels[i] = 2 * random_uniform(key, static_cast<uint64_t>(i)) - 1;
  int32_t* labels = batch.labels.data<int32_t>();
  for (int64_t i = 0; i < n; ++i) labels[i] = static_cast<int32_t>((i * 7 + which) % kClasses);
  return batch;
}

std::vector<Variable> variables_of(const Module& net) {
  std::vector<Variable> variables;
  for (const NamedVariable& parameter : net.parameters()) variables.push_back(parameter.variable);
  return variables;
}

// Seconds of each step, sorted.
std::vector<double> time_steps(const Settings& settings) {
  const bool gray = settings.model == "mnist-cnn" || settings.model == "lenet5";
  const ImageExtent image = gray ? ImageExtent{28, 28, 1} : ImageExtent{32, 32, 3};
  const auto net = make_model(settings.model, image, kClasses);
  initialise(*net, 1);
  const bool uses_sgd = settings.model == "resnet18";
  const auto optimizer =
      uses_sgd ? make_sgd(variables_of(*net), {.momentum = 0.9f}) : make_adam(variables_of(*net), {});
  const float lr = uses_sgd ? 0.05f : 1e-3f;
  net->set_training(!settings.inference);
  const auto step = [&](const Batch& batch) {
    if (settings.inference) {
      const NoGrad no_grad;
      (*net)(Variable(batch.images));
      return;
    }
    optimizer->clear_grad();
    softmax_cross_entropy((*net)(Variable(batch.images)), batch.labels).backward();
    optimizer->step(lr);
  };
  std::vector<Batch> batches;
  for (uint32_t i = 0; i < kBatches; ++i) batches.push_back(noise(settings.batch, image, i));

  using Clock = std::chrono::steady_clock;
  std::vector<double> times;
  Clock::time_point begin;
  for (int i = 0; i < kWarmUpSteps + 5 || seconds_since(begin) < settings.seconds; ++i) {
    if (i == kWarmUpSteps) begin = Clock::now();
    const Clock::time_point start = Clock::now();
    step(batches[static_cast<size_t>(i % kBatches)]);
    if (i >= kWarmUpSteps) times.push_back(seconds_since(start));
  }
  std::sort(times.begin(), times.end());
  return times;
}

void run(const Settings& settings) {
  set_current_stream({.threads = settings.threads});
  const std::vector<double> times = time_steps(settings);
  const auto rate = [&](double quantile) {
    const double seconds = times[static_cast<size_t>(static_cast<double>(times.size() - 1) * quantile)];
    return std::round(static_cast<double>(settings.batch) / seconds * 10) / 10;
  };
  std::cout << nlohmann::json{{"model", settings.model},
                              {"batch", settings.batch},
                              {"threads", settings.threads},
                              {"isa", kernels(current_stream().device).name},
                              {"samples_per_second", rate(0.5)},
                              {"p10", rate(0.9)},
                              {"p90", rate(0.1)},
                              {"steps", times.size()}}
            << '\n';
}

}  // namespace
}  // namespace convoy

int main(int argc, char** argv) {
  convoy::limit_openmp_spinning(argv);
  convoy::Settings settings;
  CLI::App app("Times single training steps on data in memory.");
  app.add_option("--model", settings.model,
                 "mnist-cnn, lenet5 (28x28x1), cifar-cnn, resnet18 or a description (32x32x3)")
      ->capture_default_str();
  app.add_option("--batch", settings.batch, "samples per step")->capture_default_str()->check(convoy::kCount);
  app.add_option("--threads", settings.threads, "OpenMP threads")->capture_default_str()->check(convoy::kThreads);
  app.add_option("--seconds", settings.seconds, "time to measure")->capture_default_str()->check(convoy::kSeconds);
  app.add_flag("--inference", settings.inference, "forward passes alone");
  return convoy::run_program(app, argc, argv, [&] { convoy::run(settings); });
}
