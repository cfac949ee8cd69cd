// `convoy eval`: what weights are worth, class by class, and their logits.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <sstream>

#include "apps/confusion.h"
#include "tests/apps/run_convoy.h"

namespace convoy {
namespace {

ConfusionMatrix made_up() {
  ConfusionMatrix matrix({"cat", "dog", "axolotl"});
  for (int i = 0; i < 3; ++i) matrix.add(0, 0);
  matrix.add(0, 1);
  for (int i = 0; i < 1200; ++i) matrix.add(1, 2);
  return matrix;
}

TEST(Confusion, counts_and_accuracy_of_each_class) {
  const ConfusionMatrix matrix = made_up();
  EXPECT_EQ(matrix.count(0, 1), 1);
  EXPECT_EQ(matrix.count(1, 0), 0);
  EXPECT_EQ(matrix.samples(0), 4);
  EXPECT_EQ(matrix.accuracy(0), 75);
  EXPECT_EQ(matrix.accuracy(1), 0);
  EXPECT_EQ(matrix.accuracy(2), 0);
}

TEST(Confusion, table_has_the_matrix_where_it_fits) {
  EXPECT_EQ(made_up().table(80),
            "class    accuracy    samples  taken for each class, in this order\n"
            "cat       75.00 %          4       3     1     .\n"
            "dog        0.00 %      1,200       .     . 1,200\n"
            "axolotl         -          0       .     .     .\n");
}

TEST(Confusion, table_names_the_worst_mistake_where_the_matrix_does_not_fit) {
  EXPECT_EQ(made_up().table(40),
            "class    accuracy    samples  most often taken for\n"
            "cat       75.00 %          4  dog (1)\n"
            "dog        0.00 %      1,200  axolotl (1,200)\n"
            "axolotl         -          0\n"
            "The whole matrix takes 49 columns; --confusion FILE draws it, and a pipe gets it.\n");
  EXPECT_EQ(made_up().table({}), made_up().table(80)) << "no limit";
}

TEST(eval, logits_in_the_order_of_the_images_give_the_accuracy_that_is_printed) {
  const TemporaryFolder folder;
  const std::string model = "conv 8 3x3; relu; maxpool 4; flatten; linear 10";
  ASSERT_EQ(run_convoy(folder, small_training({"--model", model, "--save", "w"})).exit_code, 0);
  const auto evaluate = [&](const std::string& batch, const std::string& file) {
    const Outcome outcome = run_convoy(folder, {"eval", "--dataset", "synthetic", "--holdout", "300", "--model", model,
                                                "--init", "w", "--batch", batch, "--logits", file});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
    return outcome.out;
  };
  const std::string text = evaluate("64", "a.npy");
  evaluate("7", "b.npy");
  const std::string bytes = read_text(folder / "a.npy");
  EXPECT_TRUE(bytes == read_text(folder / "b.npy"));
  ASSERT_EQ(bytes.size(), 128u + 300 * 10 * 4);
  EXPECT_NE(bytes.find("'shape': (300, 10, )"), std::string::npos);
  EXPECT_NE(text.find("logits   a.npy (300 x 10, f32)\n"), std::string::npos) << text;

  // The diagonal of the printed matrix, added up, is the accuracy in the first line.
  std::istringstream lines(text);
  std::string line;
  std::getline(lines, line);
  const double accuracy = std::stod(line.substr(line.rfind("accuracy ") + 9));
  while (std::getline(lines, line) && !line.starts_with("class")) continue;
  int64_t right = 0, all = 0;
  std::vector<int64_t> taken(10);  // how often for each class
  for (int64_t digit = 0; digit < 10; ++digit) {
    std::getline(lines, line);
    std::istringstream words(line);
    std::string name, percent, sign, samples, cell;
    words >> name >> percent;
    if (percent != "-") words >> sign;
    words >> samples;
    EXPECT_EQ(name, std::to_string(digit));
    for (int64_t predicted = 0; predicted < 10; ++predicted) {
      words >> cell;
      const int64_t number = cell == "." ? 0 : std::stoll(cell);
      all += number;
      taken[static_cast<size_t>(predicted)] += number;
      if (predicted == digit) right += number;
    }
  }
  EXPECT_EQ(all, 300);
  EXPECT_NEAR(100.0 * static_cast<double>(right) / 300, accuracy, 0.005);  // printed with two decimals

  // The largest logits say the same classes.
  std::vector<float> logits(3000);
  std::memcpy(logits.data(), bytes.data() + 128, 12'000);
  for (auto row = logits.begin(); row != logits.end(); row += 10)
    --taken[static_cast<size_t>(std::max_element(row, row + 10) - row)];
  EXPECT_EQ(taken, std::vector<int64_t>(10));
}

TEST(eval, a_file_of_logits_that_cannot_be_written_is_told) {
  const TemporaryFolder folder;
  const std::string model = "flatten; linear 10";
  ASSERT_EQ(run_convoy(folder, small_training({"--model", model, "--save", "w"})).exit_code, 0);
  const Outcome outcome = run_convoy(folder, {"eval", "--dataset", "synthetic", "--holdout", "300", "--model", model,
                                              "--init", "w", "--logits", "no/such/folder/file"});
  EXPECT_EQ(outcome.exit_code, 5);
  EXPECT_NE(outcome.error.find("no/such/folder"), std::string::npos) << outcome.error;
}

}  // namespace
}  // namespace convoy
