// Whole trainings to the accuracy that is promised. A minute each at most; the sanitizer presets leave them out.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/apps/run_convoy.h"

namespace convoy {
namespace {

// Trains with `arguments` and returns the test accuracy in percent.
double accuracy(const std::vector<std::string>& arguments, const std::map<std::string, std::string>& environment = {}) {
  const TemporaryFolder folder;
  std::vector<std::string> all{"train", "--run", "run", "--threads", "1"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  const Outcome outcome = run_convoy(folder, all, environment);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  const std::vector<nlohmann::json> summaries = read_events(folder / "run", "summary");
  if (summaries.size() != 1) {
    ADD_FAILURE() << summaries.size() << " summaries";
    return 0;
  }
  return summaries[0].at("test_accuracy").get<double>();
}

TEST(SyntheticAccuracy, one_epoch_of_lenet5_reaches_95_percent) {
  EXPECT_GE(accuracy({"--dataset", "synthetic", "--model", "lenet5", "--epochs", "1"}), 95.0);
}

TEST(SyntheticAccuracy, a_linear_model_stays_under_90_percent) {
  EXPECT_LT(accuracy({"--dataset", "synthetic", "--model", "flatten; linear 10", "--epochs", "10"}), 90.0);
}

TEST(MnistAccuracy, the_default_recipe_reaches_99_percent) {
  const char* const data = std::getenv("CONVOY_DATA");
  if (data == nullptr) GTEST_SKIP() << "needs MNIST in $CONVOY_DATA";
  EXPECT_GE(accuracy({"--dataset", "mnist"}, {{"CONVOY_DATA", data}}), 99.0);
}

}  // namespace
}  // namespace convoy
