// Whole trainings on real images, minutes in all: the same bits along the tree, the same accuracy around the ring.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/apps/run_convoy.h"
#include "tests/apps/with_mpi.h"

namespace convoy {
namespace {

using Arguments = std::vector<std::string>;

struct Result {
  std::string weights;              // the bytes of the file
  std::vector<std::string> losses;  // of every step, and of every evaluation
  double accuracy = 0;              // at the end
};

Result train(Arguments arguments, const Arguments& more) {
  const TemporaryFolder folder;
  for (const char* each : {"--log-every", "1", "--run", "run", "--save", "weights.safetensors"})
    arguments.emplace_back(each);
  arguments.insert(arguments.end(), more.begin(), more.end());
  const Outcome outcome = run_convoy(folder, arguments, {{"CONVOY_DATA", std::getenv("CONVOY_DATA")}});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  Result result{.weights = read_text(folder / "weights.safetensors"), .losses = {}};
  for (const nlohmann::json& event : read_events(folder / "run")) {
    for (const char* name : {"loss", "train_loss", "test_loss", "validation_loss"})
      if (event.contains(name)) result.losses.push_back(event.at(name).dump());
    if (event.contains("validation_accuracy")) result.accuracy = event.at("validation_accuracy").get<double>();
  }
  return result;
}

// Runs every strategy with as many replicas and ranks as divide `shards`, each against serial on one thread.
void expect_same_bits(const Arguments& training, const std::string& shards) {
  const Arguments tree{"--reduce", "tree", "--shards", shards};
  const auto with = [&](Arguments more) {
    more.insert(more.end(), tree.begin(), tree.end());
    return train(training, more);
  };
  const Result serial = with({"--threads", "1"});
  std::vector<Arguments> others{{"--threads", "2"},
                                {"--threads", "3"},
                                {"--strategy", "replicated", "--replicas", "2"},
                                {"--strategy", "replicated", "--replicas", "4"}};
  if (with_mpi()) {
    others.push_back({"--strategy", "ddp", "--ranks", "2"});
    others.push_back({"--strategy", "ddp", "--ranks", "4"});
    others.push_back({"--strategy", "hybrid", "--ranks", "2", "--replicas", "2"});
  }
  for (const Arguments& other : others) {
    SCOPED_TRACE(nlohmann::json(other).dump());
    const Result result = with(other);
    EXPECT_EQ(result.losses, serial.losses);
    EXPECT_TRUE(result.weights == serial.weights && !result.weights.empty());
  }
}

Arguments three_epochs_of_mnist(const std::string& images) {
  return {"train", "--dataset", "mnist", "--model",  "mnist-cnn", "--limit",
          images,  "--holdout", "2000",  "--epochs", "3"};
}

TEST(StrategiesAccuracy, three_epochs_of_mnist_end_in_the_same_bits_along_the_tree) {
  if (std::getenv("CONVOY_DATA") == nullptr) GTEST_SKIP() << "needs MNIST in $CONVOY_DATA";
  expect_same_bits(three_epochs_of_mnist("2000"), "8");
}

TEST(StrategiesAccuracy, three_epochs_of_mnist_are_as_accurate_around_the_ring) {
  if (std::getenv("CONVOY_DATA") == nullptr) GTEST_SKIP() << "needs MNIST in $CONVOY_DATA";
  const Arguments mnist = three_epochs_of_mnist("8000");
  const double serial = train(mnist, {}).accuracy;
  EXPECT_NEAR(train(mnist, {"--strategy", "replicated", "--replicas", "2"}).accuracy, serial, 0.3);
  if (!with_mpi()) GTEST_SKIP() << kWithoutMpi;
  EXPECT_NEAR(train(mnist, {"--strategy", "ddp", "--ranks", "2"}).accuracy, serial, 0.3);
  EXPECT_NEAR(train(mnist, {"--strategy", "hybrid", "--ranks", "2", "--replicas", "2"}).accuracy, serial, 0.3);
}

TEST(StrategiesAccuracy, cifar_cnn_with_batch_norm_ends_in_the_same_bits_along_the_tree) {
  if (std::getenv("CONVOY_DATA") == nullptr) GTEST_SKIP() << "needs CIFAR-10 in $CONVOY_DATA";
  expect_same_bits(
      {"train", "--dataset", "cifar10", "--model", "cifar-cnn", "--limit", "1000", "--holdout", "500", "--epochs", "2"},
      "8");
}

}  // namespace
}  // namespace convoy
