// Twenty optimizer steps of four networks against what PyTorch computes in float64 (tests/reference_data), on
// every instruction set and on the CUDA backend in fp32.
//
// The networks start from the formula `uniform` (tests/uniform.h), so nothing but the expected results is stored. A
// file's `index` counts in PyTorch's layouts. `fp32_deviation` is how far PyTorch's own float32 run is from
// its float64 run; a float32 engine may be 20 times as far.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "autograd/optimizer.h"
#include "layers/models.h"
#include "layers/weights.h"
#include "tests/from_environment.h"
#include "tests/tensor/backends.h"
#include "tests/uniform.h"

namespace convoy {
namespace {

using Json = nlohmann::json;

constexpr double kAllowedDeviations = 20;

// Logits before the first step have no deviation of their own. The forward pass is continuous, so only
// rounding counts: a dot product of n terms is off by about sqrt(n) * 2^-24 of its size, n is at most 21632
// and there are at most five layers: 5 * 147 * 6e-8.
constexpr double kForwardTolerance = 4.4e-5;

class StridedCnn : public Module {
 public:
  std::string describe() const override { return "StridedCnn()"; }

 protected:
  Variable forward(const Variable& x) override {
    Variable y = bn1_.after(conv1_, x, Activation::relu);
    y = bn2_.after(conv2_, y, Activation::relu);
    y = average_pool2d(conv3_(y, Activation::relu), {2, 2}, {2, 2}, {0, 0});
    return fc1_(flatten(y));
  }

 private:
  Conv2d& conv1_ =
      add<Conv2d>("conv1", Conv2dOptions{.in = 3, .out = 7, .kernel = {5, 5}, .stride = {2, 2}, .pad = {2, 2}});
  BatchNorm2d& bn1_ = add<BatchNorm2d>("bn1", 7);
  Conv2d& conv2_ =
      add<Conv2d>("conv2", Conv2dOptions{.in = 7, .out = 13, .stride = {2, 2}, .pad = {1, 1}, .bias = false});
  BatchNorm2d& bn2_ = add<BatchNorm2d>("bn2", 13);
  Conv2d& conv3_ = add<Conv2d>("conv3", Conv2dOptions{.in = 13, .out = 19, .kernel = {1, 1}});
  Linear& fc1_ = add<Linear>("fc1", 19 * 2 * 2, 10, ImageExtent{2, 2, 19});
};

std::unique_ptr<Module> build(const Json& spec) {
  const ImageExtent input{spec["input"][1], spec["input"][2], spec["input"][0]};
  if (spec["net"] == "strided_cnn") return std::make_unique<StridedCnn>();
  return make_model(spec["net"] == "mnist_cnn" ? "mnist-cnn" : "cifar-cnn", input, 10);
}

// Parameter j, in order of appearance: uniform in +-1/sqrt(fan_in); batch norm weights 0.5 + u and biases u -
// 0.5.
void initialise_by_formula(Module& net, uint64_t seed) {
  double fan_in = 1;  // of the layer, from its weight
  uint64_t j = 0;
  for (NamedVariable& entry : net.parameters()) {
    const bool is_norm = entry.name.starts_with("bn"), is_weight = entry.name.ends_with("weight");
    const Shape& shape = entry.variable.shape();
    if (is_weight) fan_in = static_cast<double>(shape.count()) / static_cast<double>(shape[0]);
    std::vector<float> values = uniform(seed * 1000 + j++, shape.count());
    for (float& value : values) {
      const double u = value;
      if (is_norm)
        value = static_cast<float>(is_weight ? 0.5 + u : u - 0.5);
      else
        value = static_cast<float>((u - 0.5) * 2.0 / std::sqrt(fan_in));
    }
    const Tensor file = Tensor::from(values, to_file_layout(entry.variable.value(), entry.layout).shape());
    entry.variable.value().copy_from(from_file_layout(file, entry.layout, shape));
  }
}

struct FormulaBatch {
  Tensor images;  // [n, h, w, c] in [-1, 1)
  Tensor labels;  // [n] in [0, 10)
};

FormulaBatch batch_by_formula(const Json& spec, int64_t step, int64_t n) {
  const int64_t c = spec["input"][0], h = spec["input"][1], w = spec["input"][2];
  const uint64_t seed = spec["seed"].get<uint64_t>() * 1000, number = static_cast<uint64_t>(step);
  std::vector<float> values = uniform(seed + 500 + number, n * c * h * w);
  for (float& value : values) value = value * 2 - 1;
  // Images are laid out in files as filters are: channels first.
  const Tensor images =
      from_file_layout(Tensor::from(values, {n, c, h, w}), {.kind = FileLayout::Kind::filter}, {n, h, w, c});
  std::vector<int32_t> labels;
  for (const float draw : uniform(seed + 700 + number, n))
    labels.push_back(static_cast<int32_t>(std::floor(10.0 * draw)));
  return {images.to(current_stream().device), Tensor::from(labels, {n})};
}

std::unique_ptr<Optimizer> build_optimizer(const Module& net, const Json& spec) {
  std::vector<Variable> parameters;
  for (const NamedVariable& entry : net.parameters()) parameters.push_back(entry.variable);
  if (spec["kind"] == "adam") return make_adam(std::move(parameters), {});
  return make_sgd(std::move(parameters), {.momentum = spec.value("momentum", 0.0f),
                                          .weight_decay = spec.value("weight_decay", 0.0f),
                                          .nesterov = spec.value("nesterov", false)});
}

double root_mean_square(const Json& expected) {
  double count = 1;
  for (const Json& extent : expected["shape"]) count *= extent.get<double>();
  return expected["l2"].get<double>() / std::sqrt(count);
}

// The sampled elements of one tensor, within `tolerance` times `scale`, and its sum, within as much for each
// element.
void expect_samples(const std::string& name, const Tensor& memory, const FileLayout& layout, const Json& expected,
                    double tolerance, double scale) {
  const Tensor file = to_file_layout(memory, layout);
  const auto extents = file.shape().extents();
  ASSERT_EQ(std::vector<int64_t>(extents.begin(), extents.end()), expected["shape"].get<std::vector<int64_t>>())
      << name;
  for (size_t i = 0; i < expected["index"].size(); ++i)
    EXPECT_NEAR(file.data<float>()[expected["index"][i].get<int64_t>()], expected["value"][i].get<double>(),
                tolerance * scale)
        << name << " at " << expected["index"][i];
  double sum = 0;
  for (int64_t i = 0; i < file.count(); ++i) sum += file.data<float>()[i];
  EXPECT_NEAR(sum, expected["sum"].get<double>(), tolerance * scale * static_cast<double>(file.count())) << name;
}

// Biases of convolutions in front of a batch norm have no effect, so their exact gradient is zero and what is
// computed is rounding noise of the size of the weight gradient's; that one's scale is theirs.
double gradient_scale(const Json& gradients, const std::string& name) {
  constexpr double kZero = 1e-9;  // as the reference's own measure of deviation has it
  const double own = root_mean_square(gradients[name]);
  if (own > kZero) return own;
  return root_mean_square(gradients[name.substr(0, name.rfind('.')) + ".weight"]);
}

void expect_logits(const Tensor& logits, const Json& expected, double tolerance) {
  double squares = 0, count = 0;
  for (const Json& row : expected)
    for (const Json& value : row) squares += value.get<double>() * value.get<double>(), ++count;
  const double scale = std::sqrt(squares / count);
  const Tensor host = logits.to(Device{});
  for (size_t i = 0; i < expected.size(); ++i)
    for (size_t j = 0; j < expected[i].size(); ++j)
      EXPECT_NEAR(host.data<float>()[i * expected[i].size() + j], expected[i][j].get<double>(), tolerance * scale)
          << "logit " << j << " of image " << i;
}

Json read_reference(const std::string& name) {
  // A test program that was carried to another machine is told where the files are there.
  const char* const elsewhere = std::getenv("CONVOY_TEST_FILES");
  std::ifstream in(std::string(elsewhere == nullptr ? CONVOY_TEST_FILES : elsewhere) + "/reference_data/" + name +
                   ".json");
  return Json::parse(in);
}

// The step from which on a trajectory may fork. Two pixels of a pooling window, or what ReLU sees and 0, can be so close
// that rounding decides, and what it decides is amplified from step to step. In float32 PyTorch meets no such place in
// cifar_cnn_sgd (its losses deviate by 1.6e-7), but does in cifar_cnn_adam (2.4e-4). One unit in the last place of the images,
// at random, makes Convoy's matrix products fork in 5 of 10 runs of cifar_cnn_sgd, never before step 9, and Winograd's
// algorithm, whose errors are twice as large, in 9 of 10, never before step 4. From there on they are held to what PyTorch
// deviates by where it forks.
int64_t forks_from(const std::string& name) {
  const Stream& stream = current_stream();
  if (name != "cifar_cnn_sgd" || stream.device.kind != Device::Kind::cpu) return std::numeric_limits<int64_t>::max();
  return stream.convolution == ConvolutionAlgorithm::gemm ? 9 : 4;
}

void follow_trajectory(const std::string& name) {
  const Json reference = read_reference(name);
  const Json& spec = reference["case"];
  const Json& deviation = reference["fp32_deviation"];
  const bool may_fork = forks_from(name) < spec["steps"];
  const Json forked = may_fork ? read_reference("cifar_cnn_adam")["fp32_deviation"] : deviation;
  const double gradient_tolerance = kAllowedDeviations * deviation["first_gradient"].get<double>();
  const double final_tolerance = kAllowedDeviations * forked["final"].get<double>();

  const auto net = build(spec);
  initialise_by_formula(*net, spec["seed"]);
  const auto optimizer = build_optimizer(*net, spec["optimizer"]);
  const int all_steps = spec["steps"];
  const int64_t steps = std::min(all_steps, from_environment("CONVOY_TEST_STEPS", all_steps));
  for (int64_t step = 0; step < steps; ++step) {
    const FormulaBatch batch = batch_by_formula(spec, step, spec["batch"]);
    optimizer->clear_grad();
    const Variable logits = (*net)(Variable(batch.images));
    const Variable loss = softmax_cross_entropy(logits, batch.labels);
    loss.backward();
    if (step == 0) {
      expect_logits(logits.value(), reference["first_logits"], kForwardTolerance);
      for (const NamedVariable& entry : net->parameters())
        expect_samples("gradient of " + entry.name, entry.variable.grad(), entry.layout,
                       reference["first_gradient"][entry.name], gradient_tolerance,
                       gradient_scale(reference["first_gradient"], entry.name));
    }
    const double expected = reference["loss"][static_cast<size_t>(step)];
    const double loss_tolerance =
        kAllowedDeviations * (step < forks_from(name) ? deviation : forked)["loss"].get<double>();
    EXPECT_NEAR(loss.value().item(), expected, loss_tolerance * expected) << "loss of step " << step;
    optimizer->step(spec["optimizer"]["lr"].get<float>());
  }

  if (steps < all_steps) return;  // the reference has the weights after all steps only
  for (const auto& list : {net->parameters(), net->buffers()})
    for (const NamedVariable& entry : list) {
      const Json& expected_final = reference["final"][entry.name];
      expect_samples(entry.name, entry.variable.value(), entry.layout, expected_final, final_tolerance,
                     root_mean_square(expected_final));
    }
  net->set_training(false);
  const NoGrad no_grad;
  expect_logits((*net)(Variable(batch_by_formula(spec, 900, 2).images)).value(), reference["eval_logits"],
                final_tolerance);
}

class ReferenceTrajectory : public testing::TestWithParam<std::tuple<const char*, Backend>> {
 protected:
  void TearDown() override {
    set_cpu_kernels(best_);
    set_current_stream(stream_);
  }

 private:
  const Kernels& best_ = kernels(Device{});
  const Stream stream_ = current_stream();
};

TEST_P(ReferenceTrajectory, is_followed) {
  const auto& [name, backend] = GetParam();
  if (!backend.unavailable.empty()) GTEST_SKIP() << backend.unavailable;
  if (backend.stream.device.kind == Device::Kind::cpu) set_cpu_kernels(*backend.table);
  set_current_stream(backend.stream);
  follow_trajectory(name);
}

INSTANTIATE_TEST_SUITE_P(
    , ReferenceTrajectory,
    testing::Combine(testing::Values("mnist_cnn_adam", "cifar_cnn_adam", "cifar_cnn_sgd", "strided_cnn_sgd"),
                     testing::ValuesIn(backends_under_test(Variants::trajectories))),
    [](const auto& info) { return fmt::format("{}_{}", std::get<0>(info.param), std::get<1>(info.param).name); });

}  // namespace
}  // namespace convoy
