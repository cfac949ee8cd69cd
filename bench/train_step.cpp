// How long does one training step take? Forward, backward and optimizer update on batches of noise that lie
// in memory; the data loader is not under test. With --inference: the forward pass alone, as evaluation runs it. Prints one
// JSON line with the same keys as the peers' scripts: the median step as samples per second, and the slow (p10) and fast
// (p90) ends. On a GPU a step is recorded once and replayed; each is waited for, as in the peers' scripts.
//
//   bench_train_step --model cifar-cnn --batch 64 --threads 2 --seconds 4
//   bench_train_step --model cifar-cnn --device cuda --precision tf32
//   {"batch":64,"device":"cpu","isa":"avx512","model":"cifar-cnn","p10":…,"p90":…,"precision":"fp32","samples_per_second":…,"steps":…,"threads":2}
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <functional>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apps/device_options.h"
#include "autograd/optimizer.h"
#include "bench/command_line.h"
#include "layers/models.h"
#include "tensor/cores.h"
#include "tensor/cpu/parallel.h"
#include "tensor/cuda/cuda.h"
#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/seconds_since.h"

namespace convoy {
namespace {

constexpr int64_t kClasses = 10;
constexpr int kBatches = 8;      // more than a cache holds, as in an epoch
constexpr int kWarmUpSteps = 6;  // pool and pages are in place after the first, clocks and caches after the others

struct Options {
  std::string model = "mnist-cnn";
  int64_t batch = 64;
  int threads = available_cores();
  std::string device = "cpu", precision = "fp32";
  double seconds = 4;
  bool inference = false;
};

// On the current stream's device.
struct Batch {
  Tensor images;  // [N,H,W,C], uniform in [-1, 1), stored as the stream's activations
  Tensor labels;  // i32 [N]
};

Batch noise(int64_t n, const ImageExtent& image, uint32_t which) {
  const RandomKey key{.stream = RandomStream::synthetic, .step = which};
  Batch batch{Tensor::empty({n, image.h, image.w, image.c}, DType::f32, Device{}),
              Tensor::empty({n}, DType::i32, Device{})};
  float* pixels = batch.images.data<float>();
  for (int64_t i = 0; i < batch.images.count(); ++i) pixels[i] = 2 * random_uniform(key, static_cast<uint64_t>(i)) - 1;
  int32_t* labels = batch.labels.data<int32_t>();
  for (int64_t i = 0; i < n; ++i) labels[i] = static_cast<int32_t>((i * 7 + which) % kClasses);
  const Device device = current_stream().device;
  return {convert(batch.images.to(device), activation_type(current_stream())), batch.labels.to(device)};
}

std::vector<Variable> variables_of(const Module& net) {
  std::vector<Variable> variables;
  for (const NamedVariable& parameter : net.parameters()) variables.push_back(parameter.variable);
  return variables;
}

// A step on a GPU, recorded once and replayed on one batch after the other (apps/recorded_step.h).
class ReplayedStep {
 public:
  // Records work(batch, scalars), which updates the weights by what `scalars` says. It was called before, so that
  // everything has its memory.
  ReplayedStep(const Batch& example, const std::function<void(const Batch&, const StepScalars&)>& work)
      : batch_{example.images.clone(), example.labels.clone()} {
    Stream stream = current_stream();
    stream.scalars = reinterpret_cast<const StepScalars*>(scalars_.raw());
    graph_ = std::make_unique<cuda::Graph>(stream, [&] { work(batch_, {}); });
  }

  void run(const Batch& batch, const StepScalars& scalars) {
    std::memcpy(host_scalars_.raw(), &scalars, sizeof scalars);
    scalars_.copy_from(host_scalars_);
    batch_.images.copy_from(batch.images);
    batch_.labels.copy_from(batch.labels);
    graph_->replay(current_stream());
  }

 private:
  static constexpr int64_t kScalars = (sizeof(StepScalars) + sizeof(int32_t) - 1) / sizeof(int32_t);
  Batch batch_;
  Tensor host_scalars_ = Tensor::zeros({kScalars}, DType::i32, Device{}),
         scalars_ = Tensor::zeros({kScalars}, DType::i32);
  std::unique_ptr<cuda::Graph> graph_;
};

// Seconds of each step, sorted.
std::vector<double> time_steps(const Options& options) {
  const bool gray = options.model == "mnist-cnn" || options.model == "lenet5";
  const ImageExtent image = gray ? ImageExtent{28, 28, 1} : ImageExtent{32, 32, 3};
  const auto net = make_model(options.model, image, kClasses);
  initialise(*net, 1);
  const bool uses_sgd = options.model == "resnet18";
  const auto optimizer =
      uses_sgd ? make_sgd(variables_of(*net), {.momentum = 0.9f}) : make_adam(variables_of(*net), {});
  const float lr = uses_sgd ? 0.05f : 1e-3f;
  net->set_training(!options.inference);
  const bool on_gpu = current_stream().device.kind == Device::Kind::cuda;
  const auto forward = [&](const Batch& batch) { return (*net)(Variable(batch.images)); };
  const auto loss_of = [&](const Batch& batch) {
    optimizer->clear_grad();
    return softmax_cross_entropy(forward(batch), batch.labels);
  };
  // What is recorded on a GPU.
  const auto work = [&](const Batch& batch, const StepScalars& scalars) {
    if (options.inference) {
      const NoGrad no_grad;
      forward(batch);
      return;
    }
    loss_of(batch).backward();
    optimizer->apply(scalars);
  };
  std::optional<ReplayedStep> replayed;
  const auto step = [&](const Batch& batch) {
    if (replayed) {
      replayed->run(batch, options.inference ? StepScalars{} : optimizer->advance(lr));
    } else if (options.inference) {
      work(batch, {});
    } else {
      optimizer->minimize(loss_of(batch), lr);
    }
    if (on_gpu && !replayed) replayed.emplace(batch, work);
    if (on_gpu) cuda::synchronize(current_stream());
  };
  std::vector<Batch> batches;
  for (uint32_t i = 0; i < kBatches; ++i) batches.push_back(noise(options.batch, image, i));

  using Clock = std::chrono::steady_clock;
  std::vector<double> times;
  Clock::time_point begin;
  for (int i = 0; i < kWarmUpSteps + 5 || seconds_since(begin) < options.seconds; ++i) {
    if (i == kWarmUpSteps) begin = Clock::now();
    const Clock::time_point start = Clock::now();
    step(batches[static_cast<size_t>(i % kBatches)]);
    if (i >= kWarmUpSteps) times.push_back(seconds_since(start));
  }
  std::sort(times.begin(), times.end());
  return times;
}

void run(const Options& options) {
  const Precision precision = find_precision(options.precision).value;
  CHECK(options.device != "cpu" || precision == Precision::fp32, "--precision: has no effect with --device cpu");
  Stream stream{.threads = options.threads};
  if (options.device != "cpu") stream = cuda::make_stream(0);
  stream.precision = precision;
  set_current_stream(stream);
  const std::vector<double> times = time_steps(options);
  const auto rate = [&](double quantile) {
    const double seconds = times[static_cast<size_t>(static_cast<double>(times.size() - 1) * quantile)];
    return std::round(static_cast<double>(options.batch) / seconds * 10) / 10;
  };
  std::cout << nlohmann::json{{"model", options.model},
                              {"batch", options.batch},
                              {"threads", options.threads},
                              {"device", options.device},
                              {"precision", options.precision},
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
  convoy::Options options;
  CLI::App app("Times single training steps on data in memory.");
  app.add_option("--model", options.model,
                 "mnist-cnn, lenet5 (28x28x1), cifar-cnn, resnet18 or a description (32x32x3)")
      ->capture_default_str();
  app.add_option("--batch", options.batch, "samples per step")->capture_default_str()->check(convoy::kCount);
  app.add_option("--threads", options.threads, "OpenMP threads")->capture_default_str()->check(convoy::kThreads);
  app.add_option("--device", options.device, "cpu or cuda")
      ->capture_default_str()
      ->check(CLI::IsMember({"cpu", "cuda"}));
  app.add_option("--precision", options.precision, "on a GPU: fp32, tf32 or bf16")->capture_default_str();
  app.add_option("--seconds", options.seconds, "time to measure")->capture_default_str()->check(convoy::kSeconds);
  app.add_flag("--inference", options.inference, "forward passes alone");
  return convoy::run_program(app, argc, argv, [&] { convoy::run(options); });
}
