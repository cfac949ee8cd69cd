// A whole training against one written out here in double precision: order of samples, partial batches,
// momentum, the learning rate of each step, what is cleared between steps, and the evaluation at the end.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/dataset.h"
#include "tensor/safetensors.h"
#include "tests/apps/run_convoy.h"

namespace convoy {
namespace {

// Multinomial logistic regression, logits = weight [classes, features] x + bias [classes], trained by SGD
// with momentum.
class SoftmaxRegression {
 public:
  SoftmaxRegression(const Tensor& weight, const Tensor& bias)
      : classes_(bias.count()),
        features_(weight.count() / classes_),
        parameters_(weight.data<float>(), weight.data<float>() + weight.count()),
        velocity_(static_cast<size_t>(weight.count() + bias.count())) {
    parameters_.insert(parameters_.end(), bias.data<float>(), bias.data<float>() + classes_);
  }

  // Sum of the losses of rows [begin, end); adds the gradient of that sum to `gradient` when it is not null.
  double loss(const Dataset& data, int64_t begin, int64_t end, std::vector<double>* gradient,
              int64_t* correct = nullptr) const {
    double total = 0;
    for (int64_t row = begin; row < end; ++row) {
      const std::vector<double> x = normalised(data, row);
      std::vector<double> logits(at(parameters_, classes_ * features_), parameters_.end());
      for (int64_t k = 0; k < classes_; ++k)
        logits[k] += std::inner_product(x.begin(), x.end(), at(parameters_, k * features_), 0.0);
      const auto largest = std::max_element(logits.begin(), logits.end());
      double sum = 0;
      for (const double logit : logits) sum += std::exp(logit - *largest);
      const int32_t label = data.labels.data<int32_t>()[row];
      total += std::log(sum) + *largest - logits[label];
      if (correct != nullptr) *correct += largest - logits.begin() == label;
      if (gradient == nullptr) continue;
      for (int64_t k = 0; k < classes_; ++k) {
        const double error = std::exp(logits[k] - *largest) / sum - (k == label);
        for (int64_t i = 0; i < features_; ++i) (*gradient)[k * features_ + i] += error * x[i];
        (*gradient)[classes_ * features_ + k] += error;
      }
    }
    return total;
  }

  // The mean loss of rows [begin, end), then one update with its gradient.
  double step(const Dataset& data, int64_t begin, int64_t end, double lr, double momentum) {
    const double rows = static_cast<double>(end - begin);
    std::vector<double> gradient(parameters_.size());
    const double mean_loss = loss(data, begin, end, &gradient) / rows;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      velocity_[i] = momentum * velocity_[i] + gradient[i] / rows;
      parameters_[i] -= lr * velocity_[i];
    }
    return mean_loss;
  }

 private:
  static std::vector<double>::const_iterator at(const std::vector<double>& values, int64_t index) {
    return values.begin() + index;
  }

  std::vector<double> normalised(const Dataset& data, int64_t row) const {
    std::vector<double> x(static_cast<size_t>(features_));
    for (int64_t i = 0; i < features_; ++i) {
      x[i] = (data.images.data<uint8_t>()[row * features_ + i] / 255.0 - data.normalisation.mean[0]) /
             data.normalisation.std[0];
    }
    return x;
  }

  int64_t classes_, features_;
  std::vector<double> parameters_, velocity_;  // weight, then bias
};

TEST(train, softmax_regression_follows_a_double_precision_training) {
  const TemporaryFolder folder;
  const std::vector<std::string> common{
      "--model", "flatten; linear 10", "--shuffle", "off", "--optimizer", "sgd", "--batch", "64"};
  const auto training = [&](std::vector<std::string> more) {
    more.insert(more.end(), common.begin(), common.end());
    return run_convoy(folder, small_training(more));
  };
  // A step so small that no float changes: these are the initial weights.
  ASSERT_EQ(training({"--steps", "1", "--lr", "1e-30", "--run", "start", "--save", "start.safetensors"}).exit_code, 0);
  const Outcome outcome = training({"--init", "start.safetensors", "--epochs", "2", "--lr", "0.01", "--momentum", "0.9",
                                    "--schedule", "step", "--step-every", "5", "--step-factor", "0.5", "--run", "run"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;

  const DatasetSplits data = load_dataset({.name = "synthetic", .seed = 1, .holdout = 300, .limit = 200});
  const TensorFile weights = read_safetensors(folder / "start.safetensors");
  SoftmaxRegression reference(weights.tensors.at("1.weight"), weights.tensors.at("1.bias"));
  // A logit or a gradient sums up to 784 products in float: an error of 784 * 2^-24 of their size at most;
  // eight updates carry it on.
  const double tolerance = 784 * 0x1p-24 * 8;
  const std::vector<nlohmann::json> steps = read_events(folder / "run", "step");
  ASSERT_EQ(steps.size(), 8u);
  for (int64_t i = 0; i < 8; ++i) {
    const int64_t begin = i % 4 * 64;
    const double expected =
        reference.step(data.train, begin, std::min<int64_t>(begin + 64, 200), i < 5 ? 0.01 : 0.005, 0.9);
    EXPECT_NEAR(steps[i].at("loss").get<double>(), expected, tolerance * expected) << "step " << i + 1;
    EXPECT_FLOAT_EQ(steps[i].at("lr").get<float>(), i < 5 ? 0.01f : 0.005f);
  }
  int64_t correct = 0;
  const double loss = reference.loss(data.test, 0, 300, nullptr, &correct) / 300;
  const nlohmann::json summary = read_events(folder / "run", "summary").at(0);
  EXPECT_NEAR(summary.at("validation_loss").get<double>(), loss, tolerance * loss);
  // A tie within rounding may fall either way for one image.
  EXPECT_NEAR(summary.at("validation_accuracy").get<double>(), 100.0 * correct / 300, 100.0 / 300 + 1e-9);
}

}  // namespace
}  // namespace convoy
