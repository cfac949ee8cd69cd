// MNIST files, sound and damaged in every way: small ones that each test writes for itself.
#include "data/mnist.h"

#include "tests/data/files.h"

namespace convoy {
namespace {

const Bytes kTrainPixels = pattern(3 * 5 * 7, 1), kTestPixels = pattern(2 * 5 * 7, 2);

// A small, sound data set in `folder`: 3 training and 2 test images of 5 x 7.
void write_small(const TemporaryFolder& folder) {
  folder.write("train-images-idx3-ubyte", join({idx_header({3, 5, 7}), kTrainPixels}));
  folder.write("train-labels-idx1-ubyte", join({idx_header({3}), {9, 0, 4}}));
  folder.write("t10k-images-idx3-ubyte", join({idx_header({2, 5, 7}), kTestPixels}));
  folder.write("t10k-labels-idx1-ubyte", join({idx_header({2}), {1, 2}}));
}

void expect_small(const DatasetSplits& splits) {
  EXPECT_EQ(splits.train.images.shape(), Shape({3, 5, 7, 1}));
  EXPECT_EQ(splits.test.images.shape(), Shape({2, 5, 7, 1}));
  const uint8_t *train = splits.train.images.data<uint8_t>(), *test = splits.test.images.data<uint8_t>();
  EXPECT_EQ(Bytes(train, train + splits.train.images.count()), kTrainPixels);
  EXPECT_EQ(Bytes(test, test + splits.test.images.count()), kTestPixels);
  const int32_t* labels = splits.train.labels.data<int32_t>();
  EXPECT_EQ(std::vector<int32_t>(labels, labels + 3), (std::vector<int32_t>{9, 0, 4}));
  EXPECT_EQ(splits.test.labels.data<int32_t>()[1], 2);
  EXPECT_EQ(splits.train.classes.size(), 10u);
}

// The error after the named file of the small set is replaced.
std::string error_with(const char* name, const Bytes& bytes) {
  const TemporaryFolder folder;
  write_small(folder);
  folder.write(name, bytes);
  if (std::string(name).ends_with(".gz"))
    std::filesystem::remove(folder.path() / std::string(name).substr(0, std::string(name).size() - 3));
  return error_of([&] { load_mnist(folder.path()); });
}

const char *const kImages = "train-images-idx3-ubyte", *const kLabels = "train-labels-idx1-ubyte";

TEST(Mnist, reads_plain_files) {
  const TemporaryFolder folder;
  write_small(folder);
  const DatasetSplits splits = load_mnist(folder.path());
  expect_small(splits);
  EXPECT_EQ(splits.train.normalisation.mean[0], 0.5f);
  EXPECT_EQ(splits.train.normalisation.std[0], 0.5f);
}

TEST(Mnist, reads_gzip_files_and_names_with_a_dot) {
  const TemporaryFolder folder;
  folder.write("train-images-idx3-ubyte.gz", gzip(join({idx_header({3, 5, 7}), kTrainPixels})));
  folder.write("train-labels.idx1-ubyte.gz", gzip(join({idx_header({3}), {9, 0, 4}})));
  folder.write("t10k-images.idx3-ubyte", join({idx_header({2, 5, 7}), kTestPixels}));
  folder.write("t10k-labels-idx1-ubyte.gz", join({idx_header({2}), {1, 2}}));  // called .gz, but plain
  expect_small(load_mnist(folder.path()));
}

TEST(Mnist, warns_when_a_file_is_not_the_official_size) {
  const TemporaryFolder folder;
  write_small(folder);
  const std::vector<std::string> warnings = load_mnist(folder.path()).warnings;
  ASSERT_EQ(warnings.size(), 2u);
  EXPECT_TRUE(contains(warnings[0], {"train-images-idx3-ubyte: 3 images", "60000"}));
  EXPECT_TRUE(contains(warnings[1], {"t10k-images-idx3-ubyte: 2 images", "10000"}));
}

TEST(Mnist, is_found_in_the_folder_or_in_its_mnist) {
  const TemporaryFolder folder;
  EXPECT_EQ(find_mnist(folder.path()), "");
  folder.write("t10k-labels.idx1-ubyte.gz", {});
  EXPECT_EQ(find_mnist(folder.path()), folder.path());
  folder.write("mnist/train-images-idx3-ubyte", {});
  EXPECT_EQ(find_mnist(folder.path()), folder.path() / "mnist");
}

TEST(Mnist, names_a_missing_file) {
  for (const char* name : {kImages, kLabels, "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}) {
    const TemporaryFolder folder;
    write_small(folder);
    std::filesystem::remove(folder.path() / name);
    EXPECT_TRUE(contains(error_of([&] { load_mnist(folder.path()); }), {(folder.path() / name).string(), "missing"}));
  }
}

TEST(Mnist, refuses_an_empty_file) {
  EXPECT_TRUE(contains(error_with(kImages, {}), {"train-images-idx3-ubyte: the file is empty"}));
  EXPECT_TRUE(contains(error_with("train-images-idx3-ubyte.gz", gzip({})), {"is empty"}));
}

TEST(Mnist, refuses_a_file_that_ends_in_its_header) {
  EXPECT_TRUE(contains(error_with(kImages, {0, 0, 8}), {"truncated, 3 of the 16 header bytes"}));
  EXPECT_TRUE(contains(error_with(kImages, idx_header({3, 5}) /* the magic of 2 axes */), {"magic number 0x00000802"}));
  Bytes header = idx_header({3, 5, 7});
  header.pop_back();
  EXPECT_TRUE(contains(error_with(kImages, header), {"truncated, 15 of the 16 header bytes"}));
}

TEST(Mnist, refuses_a_wrong_magic_number) {
  const Bytes images = join({idx_header({3, 5, 7}), kTrainPixels});
  for (const size_t at : {0, 1, 2, 3}) {
    Bytes damaged = images;
    damaged[at] ^= 0x40;
    EXPECT_TRUE(contains(error_with(kImages, damaged), {"magic number 0x", "expected 0x00000803"})) << at;
  }
  EXPECT_TRUE(contains(error_with(kLabels, images), {"magic number 0x00000803, expected 0x00000801"}));
}

TEST(Mnist, refuses_fewer_or_more_pixels_than_declared) {
  Bytes images = join({idx_header({3, 5, 7}), kTrainPixels});
  images.pop_back();
  EXPECT_TRUE(contains(error_with(kImages, images), {"truncated", "3 x 5 x 7 = 105", "104 are there"}));
  EXPECT_TRUE(contains(error_with("train-images-idx3-ubyte.gz", gzip(images)), {"truncated", "104 are there"}));
  images.resize(images.size() + 2);
  EXPECT_TRUE(contains(error_with(kImages, images), {"more bytes follow the 3 x 5 x 7 = 105"}));
}

TEST(Mnist, refuses_counts_that_do_not_match) {
  EXPECT_TRUE(contains(error_with(kLabels, join({idx_header({2}), {1, 2}})),
                       {"train-labels-idx1-ubyte: 2 labels for the 3 images of", kImages}));
}

TEST(Mnist, refuses_a_label_out_of_range) {
  EXPECT_TRUE(contains(error_with(kLabels, join({idx_header({3}), {9, 10, 1}})), {"label 10 of image 1"}));
}

TEST(Mnist, refuses_zero_images_and_empty_images) {
  EXPECT_TRUE(contains(error_with(kImages, idx_header({0, 28, 28})), {"0 x 28 x 28"}));
  EXPECT_TRUE(contains(error_with(kImages, idx_header({3, 0, 28})), {"3 x 0 x 28"}));
  EXPECT_TRUE(contains(error_with(kLabels, idx_header({0})), {"declares 0 values"}));
}

TEST(Mnist, refuses_absurd_extents_without_allocating_them) {
  const uint32_t huge = 0xFFFFFFFFu;
  EXPECT_TRUE(contains(error_with(kImages, idx_header({huge, huge, huge})),
                       {"4294967295 x 4294967295 x 4294967295", "more than"}));
  // Products that wrap to 0 in 64 bits.
  EXPECT_TRUE(contains(error_with(kImages, idx_header({1u << 31, 1u << 31, 4})), {"more than"}));
  EXPECT_TRUE(contains(error_with(kImages, idx_header({1u << 31, 4, 1u << 31})), {"more than"}));
  EXPECT_TRUE(contains(error_with(kImages, idx_header({huge, huge, 0})), {"x 0"}));
  // Just below the bound: read as far as the file goes, which is not far.
  EXPECT_TRUE(contains(error_with(kImages, join({idx_header({1u << 31, 2, 2}), kTrainPixels})),
                       {"truncated", "105 are there"}));
}

TEST(Mnist, refuses_training_and_test_images_of_different_extents) {
  EXPECT_TRUE(
      contains(error_with("t10k-images-idx3-ubyte", join({idx_header({2, 7, 5}), kTestPixels})), {"5 x 7", "7 x 5"}));
}

TEST(Mnist, refuses_a_damaged_gzip_stream) {
  const Bytes sound = gzip(join({idx_header({3, 5, 7}), kTrainPixels}));
  const char* name = "train-images-idx3-ubyte.gz";
  Bytes damaged = sound;
  damaged[sound.size() - 8] ^= 1;  // the checksum
  EXPECT_TRUE(contains(error_with(name, damaged), {name, "damaged", "incorrect data check"}));
  damaged = sound;
  damaged[10] = 0x07;  // a deflate block of the reserved type
  EXPECT_TRUE(contains(error_with(name, damaged), {name, "damaged"}));
  for (const size_t cut : {size_t{5}, size_t{11}, sound.size() / 2, sound.size() - 1}) {
    EXPECT_TRUE(
        contains(error_with(name, Bytes(sound.begin(), sound.begin() + static_cast<long>(cut))), {name, "cut short"}))
        << cut;
  }
}

TEST(Mnist, refuses_a_folder_in_place_of_a_file) {
  const TemporaryFolder folder;
  write_small(folder);
  std::filesystem::remove(folder.path() / kImages);
  std::filesystem::create_directory(folder.path() / kImages);
  EXPECT_TRUE(contains(error_of([&] { load_mnist(folder.path()); }), {kImages, "cannot be read"}));
}

}  // namespace
}  // namespace convoy
