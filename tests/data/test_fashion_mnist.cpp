// Fashion-MNIST: MNIST's format under names of its own.
#include "data/fashion_mnist.h"

#include "tests/data/files.h"

namespace convoy {
namespace {

void write_small(const TemporaryFolder& folder, const std::string& below) {
  folder.write(below + "train-images-idx3-ubyte.gz", gzip(join({idx_header({2, 1, 2}), {1, 2, 3, 4}})));
  folder.write(below + "train-labels-idx1-ubyte.gz", gzip(join({idx_header({2}), {9, 0}})));
  folder.write(below + "t10k-images-idx3-ubyte.gz", gzip(join({idx_header({1, 1, 2}), {5, 6}})));
  folder.write(below + "t10k-labels-idx1-ubyte.gz", gzip(join({idx_header({1}), {8}})));
}

TEST(FashionMnist, has_classes_and_a_normalisation_of_its_own) {
  const TemporaryFolder folder;
  write_small(folder, "fashion-mnist/");
  const DatasetSplits splits = load_dataset({.name = "fashion-mnist", .data = folder.path()});
  ASSERT_EQ(splits.train.classes.size(), 10u);
  EXPECT_EQ(splits.train.classes[9], "Ankle boot");
  EXPECT_EQ(splits.train.classes[0], "T-shirt/top");
  EXPECT_EQ(splits.test.normalisation.mean[0], 0.2860f);
  EXPECT_EQ(splits.test.normalisation.std[0], 0.3530f);
  EXPECT_EQ(splits.train.labels.data<int32_t>()[0], 9);
}

TEST(FashionMnist, files_that_may_be_mnists_are_not_taken_for_it) {
  const TemporaryFolder folder;
  write_small(folder, "");
  const EnvironmentVariable data("CONVOY_DATA", folder.path().c_str()), cache("XDG_CACHE_HOME", folder.path().c_str());
  EXPECT_EQ(find_fashion_mnist({}), "");
  EXPECT_EQ(find_dataset_row("mnist").find({}), folder.path());
  EXPECT_EQ(find_fashion_mnist(folder.path()), folder.path()) << "the user says so";
  write_small(folder, "fashion-mnist/");
  EXPECT_EQ(find_fashion_mnist({}), folder.path() / "fashion-mnist");
}

TEST(FashionMnist, a_missing_file_names_its_download) {
  const TemporaryFolder folder;
  write_small(folder, "");
  std::filesystem::remove(folder.path() / "t10k-labels-idx1-ubyte.gz");
  EXPECT_TRUE(contains(error_of([&] { load_fashion_mnist(folder.path()); }),
                       {"t10k-labels-idx1-ubyte: missing", "`convoy data fetch fashion-mnist`"}));
}

}  // namespace
}  // namespace convoy
