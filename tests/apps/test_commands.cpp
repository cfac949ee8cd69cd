// The subcommands that only tell: summary, info, data list.
#include <gtest/gtest.h>

#include <sstream>

#include "data/dataset.h"
#include "tests/apps/run_convoy.h"

namespace convoy {
namespace {

// The columns of the first line that starts with `name`.
std::vector<std::string> columns_of(const std::string& text, const std::string& name) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::vector<std::string> columns;
    for (std::string word; words >> word;) columns.push_back(word);
    if (!columns.empty() && columns.front() == name) return columns;
  }
  return {};
}

TEST(summary, mnist_cnn_has_the_layers_of_the_study) {
  const TemporaryFolder folder;
  const Outcome outcome = run_convoy(folder, {"summary", "--model", "mnist-cnn"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  const std::vector<std::string> conv = columns_of(outcome.out, "conv1"), total = columns_of(outcome.out, "total");
  ASSERT_GE(conv.size(), 4u) << outcome.out;
  EXPECT_EQ(conv[conv.size() - 3], "[26,26,32]");
  EXPECT_EQ(conv[conv.size() - 2], "320");  // 32 filters of 3x3x1, and biases
  EXPECT_EQ(conv.back(), "194,688");        // 26 * 26 * 32 * 9
  EXPECT_EQ(total[1], "2,770,634");         // 320 + 21632 * 128 + 128 + 1290
  EXPECT_EQ(total[2], "2,964,864");         // 194688 + 21632 * 128 + 1280
}

TEST(summary, a_description_counts_like_a_sequential) {
  const TemporaryFolder folder;
  const Outcome outcome = run_convoy(
      folder, {"summary", "--dataset", "cifar10", "--model", "conv 4 5x5 stride 2; bn; relu; flatten; linear 10"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_EQ(columns_of(outcome.out, "0").back(), "58,800");  // 14 * 14 * 4 * 5 * 5 * 3
  EXPECT_EQ(columns_of(outcome.out, "4").back(), "7,840");   // 784 * 10
  EXPECT_EQ(columns_of(outcome.out, "total")[1], "8,162");   // 4 * 75 + 4, 8, 7840 + 10
}

TEST(info, tells_the_kernels_that_run) {
  const TemporaryFolder folder;
  const Outcome outcome = run_convoy(folder, {"info"}, {{"CONVOY_ISA", "portable"}});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(columns_of(outcome.out, "kernels").at(1), "portable") << outcome.out;
  EXPECT_EQ(columns_of(outcome.out, "gpus").at(1), "none:");
}

TEST(data_list, tells_every_data_set_and_where_it_was_looked_for) {
  const TemporaryFolder folder;
  const Outcome outcome = run_convoy(folder, {"data", "list", "--data", "/nowhere"});
  EXPECT_EQ(outcome.exit_code, 0);
  for (const DatasetRow& row : dataset_table()) EXPECT_FALSE(columns_of(outcome.out, row.name).empty()) << row.name;
  EXPECT_NE(outcome.out.find("/nowhere"), std::string::npos) << outcome.out;
}

}  // namespace
}  // namespace convoy
