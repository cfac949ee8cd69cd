// What pictures show, before gnuplot draws them: each value stands where it belongs.
#include <gtest/gtest.h>

#include <cmath>

#include "apps/confusion_picture.h"
#include "apps/contact_sheet.h"
#include "apps/dry_run.h"
#include "apps/letters.h"
#include "apps/mistakes.h"
#include "apps/run_plots.h"
#include "tests/apps/run_convoy.h"
#include "tests/apps/run_folders.h"

namespace convoy {
namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(letters, texts_are_cut_between_letters) {
  EXPECT_EQ(letters_of("größe→"), 6);
  EXPECT_EQ(shortened("größe", 5), "größe");
  EXPECT_EQ(shortened("größe→", 5), "größ…");
  EXPECT_EQ(shortened_from_the_left("größe", 5), "größe");
  EXPECT_EQ(shortened_from_the_left("größe→", 5), "…öße→");
}

TEST(mistakes, the_largest_loss_comes_first) {
  // Images of class 0, 1, 0, 1; the second is right, the third is wrong by far, the fourth by little.
  const std::vector<float> values{0, 1, 0, 9, 0, 5, 0.5, 0};
  const std::vector<int32_t> classes{0, 1, 0, 1};
  Tensor logits = Tensor::empty({4, 2}, DType::f32, Device{}), labels = Tensor::empty({4}, DType::i32, Device{});
  std::ranges::copy(values, logits.data<float>());
  std::ranges::copy(classes, labels.data<int32_t>());
  const std::vector<Mistake> worst = worst_mistakes(logits, labels, 2);
  ASSERT_EQ(worst.size(), 2u);
  EXPECT_EQ(worst[0].image, 2);
  EXPECT_EQ(worst[0].actual, 0);
  EXPECT_EQ(worst[0].predicted, 1);
  EXPECT_NEAR(worst[0].share, 1 / (1 + std::exp(-5)), 1e-14);    // a few roundings of doubles
  EXPECT_NEAR(worst[0].loss, std::log(1 + std::exp(5)), 1e-12);  // its share, 0.007, has lost two digits
  EXPECT_EQ(worst[1].image, 0);
  EXPECT_EQ(worst_mistakes(logits, labels, 9).size(), 3u);
}

// One image [h,w,1] whose pixels count from 1.
Dataset one_image(int64_t h, int64_t w) {
  Dataset dataset{.images = Tensor::empty({1, h, w, 1}, DType::u8, Device{}),
                  .labels = Tensor::zeros({1}, DType::i32),
                  .classes = {"a"},
                  .normalisation = {}};
  for (int64_t i = 0; i < h * w; ++i) dataset.images.data<uint8_t>()[i] = static_cast<uint8_t>(i + 1);
  return dataset;
}

// The pixels of a sheet that are not its white paper, row by row, without those that repeat their neighbours.
std::vector<std::vector<int>> inked(const Drawing& sheet) {
  std::vector<std::vector<int>> rows;
  for (int64_t y = 0; y < sheet.h; ++y) {
    std::vector<int> row;
    for (int64_t x = 0; x < sheet.w; ++x) {
      const auto pixel = static_cast<unsigned char>(sheet.data[static_cast<size_t>((y * sheet.w + x) * 3 + 1)]);
      if (pixel != 255 && (row.empty() || row.back() != pixel)) row.push_back(pixel);
    }
    if (!row.empty() && (rows.empty() || rows.back() != row)) rows.push_back(row);
  }
  return rows;
}

TEST(contact_sheet, an_image_stands_upright_in_its_tile) {
  const Drawing sheet = contact_sheet(one_image(2, 3), {{0, {"caption"}}}, 1, "title");
  EXPECT_EQ(static_cast<int64_t>(sheet.data.size()), sheet.w * sheet.h * 3);
  EXPECT_EQ(inked(sheet), (std::vector<std::vector<int>>{{1, 2, 3}, {4, 5, 6}}));
  EXPECT_TRUE(has(sheet.script, "'caption'"));
}

TEST(contact_sheet, large_images_are_made_smaller_by_means_also_narrow_ones) {
  for (const auto& [h, w] : {std::pair(int64_t{1}, int64_t{1000}), std::pair(int64_t{1000}, int64_t{1})}) {
    const std::vector<std::vector<int>> rows = inked(contact_sheet(one_image(h, w), {{0, {}}}, 1, ""));
    ASSERT_FALSE(rows.empty());
    // Of pixels 1, 2, 3 and 4, and of 5, 6, 7 and 8.
    const auto at = [&](size_t i) { return h == 1 ? rows[0][i] : rows[i][0]; };
    EXPECT_EQ(at(0), 2);
    EXPECT_EQ(at(1), 6);
  }
}

TEST(confusion_picture, cells_are_shares_of_the_class_that_is_by_the_one_it_is_taken_for) {
  ConfusionMatrix matrix({"cat", "50%s", "a name of more than twenty-four letters"});
  for (int i = 0; i < 3; ++i) matrix.add(0, 0);
  matrix.add(0, 1);
  const std::string script = confusion_picture(matrix, "title").script;
  EXPECT_TRUE(has(script, "\n0 0 75.000\n1 0 25.000\n2 0 0.000\n")) << script;
  EXPECT_TRUE(has(script, "\n0 1 0.000\n"));
  EXPECT_TRUE(has(script, "'50%%s' 1"));
  EXPECT_TRUE(has(script, "'a name of more than twe…' 2"));
}

TEST(run_plots, show_what_their_titles_say) {
  const TemporaryFolder folder;
  write_run(folder / "run", 90);
  const RunRecord run = read_run_record(folder / "run");
  const std::vector<Plot> plots = run_plots({run}, {"run"});
  ASSERT_EQ(plots.size(), 3u);
  const LoggedEpoch& last = run.epochs.back();
  const auto point = [&](double value) { return fmt::format(" {}\n", value); };
  EXPECT_EQ(plots[0].name, "loss");
  EXPECT_TRUE(has(plots[0].script, point(last.evaluation.loss))) << plots[0].script;
  EXPECT_TRUE(has(plots[0].script, point(last.train_loss)));
  EXPECT_TRUE(has(plots[0].script, point(run.steps[1].loss)));
  EXPECT_EQ(plots[1].name, "accuracy");
  EXPECT_TRUE(has(plots[1].script, point(last.evaluation.accuracy))) << plots[1].script;
  EXPECT_TRUE(has(plots[1].script, point(last.train_accuracy)));
  EXPECT_FALSE(has(plots[1].script, point(last.evaluation.loss)));
  EXPECT_EQ(plots[2].name, "lr");
  EXPECT_TRUE(has(plots[2].script, point(run.steps[0].lr))) << plots[2].script;
}

TEST(dry_run, an_evaluation_takes_as_many_times_a_batch_as_there_are_batches) {
  EXPECT_DOUBLE_EQ(seconds_of_evaluation(0.5, 100, 250), 1.25);
  EXPECT_DOUBLE_EQ(seconds_of_evaluation(0.5, 100, 10), 0.5);
}

}  // namespace
}  // namespace convoy
