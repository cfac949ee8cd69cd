// The official files, found through $CONVOY_DATA; skipped where they are not. Expected values were computed
// from the files by a few lines of Python.
#include <numeric>

#include "data/dataset.h"
#include "tests/data/files.h"

namespace convoy {
namespace {

int64_t pixel_sum(const Dataset& dataset) {
  const uint8_t* pixels = dataset.images.data<uint8_t>();
  return std::accumulate(pixels, pixels + dataset.images.count(), int64_t{0});
}

int64_t label_sum(const Dataset& dataset) {
  const int32_t* labels = dataset.labels.data<int32_t>();
  return std::accumulate(labels, labels + dataset.size(), int64_t{0});
}

std::vector<int32_t> first_labels(const Dataset& dataset) {
  const int32_t* labels = dataset.labels.data<int32_t>();
  return {labels, labels + 10};
}

bool is_here(const char* name) { return !find_dataset_row(name).find("").empty(); }

TEST(RealData, mnist_holds_the_official_pixels_and_labels) {
  if (!is_here("mnist")) GTEST_SKIP() << "no MNIST files; CONVOY_DATA names their folder";
  const DatasetSplits splits = load_dataset({.name = "mnist"});
  EXPECT_TRUE(splits.warnings.empty());
  EXPECT_EQ(splits.train.images.shape(), Shape({60000, 28, 28, 1}));
  EXPECT_EQ(splits.test.images.shape(), Shape({10000, 28, 28, 1}));
  EXPECT_EQ(first_labels(splits.train), (std::vector<int32_t>{5, 0, 4, 1, 9, 2, 1, 3, 1, 4}));
  EXPECT_EQ(first_labels(splits.test), (std::vector<int32_t>{7, 2, 1, 0, 4, 1, 4, 9, 5, 9}));
  EXPECT_EQ(pixel_sum(splits.train), 1567298545);
  EXPECT_EQ(pixel_sum(splits.test), 264923200);
  EXPECT_EQ(pixel_sum(splits.train.slice(0, 1)), 27525);
  EXPECT_EQ(pixel_sum(splits.train.slice(59999, 60000)), 20920);
  EXPECT_EQ(label_sum(splits.train), 267236);
  EXPECT_EQ(label_sum(splits.test), 44434);
  const uint8_t* row = splits.train.images.data<uint8_t>() + 5 * 28;  // where the ink of the first image begins
  EXPECT_EQ(Bytes(row + 11, row + 15), (Bytes{0, 3, 18, 18}));
}

TEST(RealData, cifar10_holds_the_official_pixels_and_labels) {
  if (!is_here("cifar10")) GTEST_SKIP() << "no CIFAR-10 files; CONVOY_DATA names their folder";
  const DatasetSplits splits = load_dataset({.name = "cifar10"});
  ASSERT_EQ(splits.train.images.shape(), Shape({50000, 32, 32, 3}));
  EXPECT_EQ(first_labels(splits.train), (std::vector<int32_t>{6, 9, 9, 4, 1, 1, 2, 7, 8, 3}));
  EXPECT_EQ(first_labels(splits.test), (std::vector<int32_t>{3, 8, 8, 0, 6, 6, 1, 6, 3, 1}));
  const Dataset batch1 = splits.train.slice(0, 10000), batch5 = splits.train.slice(40000, 50000),
                test = splits.test.slice(0, 1000);
  EXPECT_EQ(pixel_sum(batch1), 3718380578);
  EXPECT_EQ(pixel_sum(batch5), 3711772382);
  EXPECT_EQ(pixel_sum(test), 374560331);
  EXPECT_EQ(label_sum(batch1), 44983);
  EXPECT_EQ(label_sum(batch5), 45020);
  EXPECT_EQ(label_sum(test), 4603);
  // Channel c of pixel (3, 5) of the first image of data_batch_1.bin and test_batch.bin.
  const uint8_t *train_pixel = splits.train.images.data<uint8_t>() + (3 * 32 + 5) * 3,
                *test_pixel = splits.test.images.data<uint8_t>() + (3 * 32 + 5) * 3;
  EXPECT_EQ(Bytes(train_pixel, train_pixel + 3), (Bytes{117, 74, 35}));
  EXPECT_EQ(Bytes(test_pixel, test_pixel + 3), (Bytes{167, 117, 46}));
  EXPECT_EQ(splits.test.size() == 10000, splits.warnings.empty());
}

}  // namespace
}  // namespace convoy
