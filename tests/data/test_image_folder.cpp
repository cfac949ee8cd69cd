// Folders of pictures as a data set, and data sets as files for others.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "data/class_folders.h"
#include "data/image_decoder.h"
#include "data/image_folder.h"
#include "data/write_dataset.h"
#include "tests/data/files.h"
#include "tests/data/pictures.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

// Every image has a colour of its own: its class, its number, and which part it is in.
class ImageFolder : public WithImageDecoder {
 protected:
  void add(const std::string& name, uint8_t red, uint8_t green, uint8_t blue) const {
    write_picture(folder_.path() / name, png(8, 6, red, green, blue));
  }
  void add_class(const std::string& name, int images, uint8_t red, uint8_t blue = 7) const {
    for (int i = 0; i < images; ++i) add(fmt::format("{}/{:02}.png", name, i), red, static_cast<uint8_t>(i), blue);
  }

  DatasetSplits load(DatasetRequest request = {}) const {
    request.name = "folder:" + folder_.path().string();
    if (request.image_size == 0) request.image_size = 4;
    return load_dataset(request);
  }
  std::string error(DatasetRequest request = {}, ErrorKind kind = ErrorKind::data) const {
    return error_of([&] { load(request); }, kind);
  }

  const TemporaryFolder folder_;
};

// The colours of images of one colour, in their order.
std::vector<std::array<int, 3>> colours(const Dataset& dataset) {
  std::vector<std::array<int, 3>> result;
  const int64_t bytes = dataset.images.count() / dataset.size();
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const uint8_t* const pixel = dataset.images.data<uint8_t>() + i * bytes;
    result.push_back({pixel[0], pixel[1], pixel[2]});
  }
  return result;
}

TEST_F(ImageFolder, classes_are_its_folders_and_a_tenth_of_each_is_for_testing) {
  add_class("dog", 20, 200);
  add_class("ant", 40, 100);
  add(".hidden/1.png", 1, 2, 3);
  add("ant/.hidden.png", 1, 2, 3);
  write_picture(folder_.path() / "dog/notes.txt", "text");
  write_picture(folder_.path() / "dog/film.GIF", "film");
  write_picture(folder_.path() / "dog/README", "text");
  const DatasetSplits splits = load();
  EXPECT_EQ(splits.train.classes, (std::vector<std::string>{"ant", "dog"}));
  EXPECT_EQ(splits.train.images.shape(), Shape({54, 4, 4, 3}));
  EXPECT_EQ(splits.test.images.shape(), Shape({6, 4, 4, 3}));
  ASSERT_EQ(splits.warnings.size(), 1u);
  EXPECT_TRUE(contains(splits.warnings[0], {".gif (1)", ".txt (1)", "no ending (1)"}));

  // Every image is there once, with the label of its folder.
  std::map<int, int> of_class;
  std::set<std::array<int, 3>> seen;
  for (const Dataset* dataset : {&splits.train, &splits.test}) {
    const auto all = colours(*dataset);
    for (size_t i = 0; i < all.size(); ++i) {
      EXPECT_TRUE(seen.insert(all[i]).second);
      EXPECT_EQ(dataset->labels.data<int32_t>()[i], all[i][0] == 100 ? 0 : 1);
      if (dataset == &splits.test) ++of_class[all[i][0]];
    }
  }
  EXPECT_EQ(seen.size(), 60u);
  EXPECT_EQ(of_class, (std::map<int, int>{{100, 4}, {200, 2}}));
}

TEST_F(ImageFolder, the_split_follows_from_the_seed_alone) {
  add_class("a", 30, 10);
  add_class("b", 30, 20);
  EXPECT_EQ(colours(load({.seed = 5}).test), colours(load({.seed = 5}).test));
  EXPECT_EQ(colours(load({.seed = 5}).train), colours(load({.seed = 5}).train));
  EXPECT_NE(colours(load({.seed = 5}).test), colours(load({.seed = 6}).test));
  EXPECT_EQ(load({.val_split = 0.5f}).test.size(), 30);
  EXPECT_EQ(load({.val_split = 0.001f}).test.size(), 2) << "one of each class at least";
  EXPECT_EQ(load({.val_split = 0.999f}).train.size(), 2);

  // The end of the training images, which --holdout takes, is of both classes.
  std::set<int> held_out;
  for (const auto& colour : colours(load({.holdout = 15}).test)) held_out.insert(colour[0]);
  EXPECT_EQ(held_out.size(), 2u);
}

TEST_F(ImageFolder, folders_train_and_test_are_the_users_parts) {
  add_class("train/a", 3, 10);
  add_class("train/b", 4, 20);
  add_class("val/b", 5, 30);
  EXPECT_EQ(load().train.size(), 7);
  EXPECT_EQ(load().test.size(), 5);
  EXPECT_EQ(load().test.labels.data<int32_t>()[0], 1);
  EXPECT_TRUE(
      contains(error({.val_split = 0.2f}, ErrorKind::usage), {"--val-split: has no effect with", "train and val"}));
  add_class("test/a", 2, 40);
  const DatasetSplits splits = load();
  EXPECT_EQ(splits.test.size(), 2);
  ASSERT_EQ(splits.warnings.size(), 1u);
  EXPECT_TRUE(contains(splits.warnings[0], {"val: is not used"}));
  add_class("test/c", 1, 50);
  EXPECT_TRUE(contains(error(), {"test/c: a class that ", "train does not have; it has a, b"}));
}

TEST_F(ImageFolder, is_grey_when_all_images_are) {
  add_class("a", 0, 0);
  for (int i = 0; i < 6; ++i) {
    const auto grey = static_cast<uint8_t>(10 * i);
    add(fmt::format("{}/{}.png", i % 2 == 0 ? "a" : "b", i), grey, grey, grey);
  }
  EXPECT_EQ(load().train.images.shape(), Shape({4, 4, 4, 1}));
  EXPECT_EQ(load().test.images.shape(), Shape({2, 4, 4, 1}));
  add("a/colour.png", 1, 2, 3);
  EXPECT_EQ(load().train.images.size(3), 3);
}

TEST_F(ImageFolder, is_normalised_by_what_its_training_images_are) {
  add("train/a/1.png", 0, 51, 255);
  add("train/b/1.png", 255, 51, 153);
  add("test/a/1.png", 9, 9, 9);
  const DatasetSplits splits = load();
  const auto& [mean, std] = splits.train.normalisation;
  EXPECT_FLOAT_EQ(mean[0], 0.5f);
  EXPECT_FLOAT_EQ(mean[1], 0.2f);
  EXPECT_FLOAT_EQ(mean[2], 0.8f);
  EXPECT_FLOAT_EQ(std[0], 0.5f);
  EXPECT_FLOAT_EQ(std[1], 1) << "all are equal";
  EXPECT_FLOAT_EQ(std[2], 0.2f);
  EXPECT_EQ(splits.test.normalisation.mean, mean);
}

TEST_F(ImageFolder, mistakes_are_told_with_the_cure) {
  EXPECT_TRUE(
      contains(error_of([] { load_dataset({.name = "folder:/no/such"}); }), {"/no/such: there is no such folder"}));
  EXPECT_TRUE(contains(error(), {"no folders are in it; put the images of each class into a folder of its own"}));
  add("1.png", 1, 2, 3);
  EXPECT_TRUE(contains(error(), {"no folders are in it, but 1 image;"}));
  const std::string file = (folder_.path() / "1.png").string();
  EXPECT_TRUE(contains(error_of([&] { load_dataset({.name = "folder:" + file}); }), {file + ": is not a folder"}));
  add_class("a", 3, 1);
  EXPECT_TRUE(contains(error(), {"holds one class only, a; at least two"}));
  fs::create_directory(folder_.path() / "b");
  EXPECT_TRUE(contains(error(), {"/b: a class without images; put some there"}));
  add_class("b/deeper", 1, 1);
  EXPECT_TRUE(contains(error(), {"/b: a class without images; folders in it are not looked into"}));
  fs::remove_all(folder_.path() / "a");
  add_class("a", 1, 1);
  add_class("b", 1, 1);
  EXPECT_TRUE(contains(error(), {"one image of each class leaves none to test on"}));
  EXPECT_TRUE(contains(error_of([] { load_dataset({.name = "folder"}); }, ErrorKind::usage),
                       {"name the folder, as folder:PATH"}));
  EXPECT_TRUE(contains(error_of([] { load_dataset({.name = "mnist:x"}); }, ErrorKind::usage), {"mnist takes no path"}));
}

TEST_F(ImageFolder, a_bad_image_is_named_or_left_out) {
  add_class("a", 10, 1);
  add_class("b", 10, 2);
  write_picture(folder_.path() / "b/05.png", "no picture");
  EXPECT_TRUE(contains(error(), {"b/05.png: no PNG, JPEG or BMP image"}));
  const DatasetSplits splits = load({.skip_bad_images = true});
  EXPECT_EQ(splits.train.size() + splits.test.size(), 19);
  for (const auto& warning : splits.warnings) EXPECT_TRUE(contains(warning, {"1 image left out", "b/05.png"}));
  for (const Dataset* dataset : {&splits.train, &splits.test}) {
    const auto all = colours(*dataset);
    for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(dataset->labels.data<int32_t>()[i], all[i][0] - 1);
  }
}

TEST_F(ImageFolder, more_than_memory_is_refused_before_anything_is_read) {
  EXPECT_TRUE(contains(error_of([] { check_memory("pets: 9 images", 3e12, 1e9); }, ErrorKind::device),
                       {"pets: 9 images need 2794.0 GiB of memory, 0.9 are available", "--image-size"}));
  check_memory("pets", 1e9, 1e9);
  // 40 TB, of links to a file that is none.
  add("a/0.png", 1, 2, 3);
  write_picture(folder_.path() / "b/0.png", "");
  for (int i = 1; i < 9; ++i)
    fs::create_hard_link(folder_.path() / "b/0.png", folder_.path() / fmt::format("b/{}.png", i));
  EXPECT_TRUE(
      contains(error({.image_size = int64_t{1} << 20}, ErrorKind::device), {"10 images of 1048576x1048576 need "}));
}

TEST_F(ImageFolder, progress_never_goes_back) {
  add_class("a", 40, 1);
  add_class("b", 40, 2);
  int64_t before = 0;
  load({.on_progress = [&](int64_t done, int64_t all) {
    EXPECT_EQ(all, 80);
    EXPECT_LE(before, done);
    before = done;
  }});
}

TEST(DatasetLabel, is_fit_for_a_file_name) {
  EXPECT_EQ(dataset_label("mnist"), "mnist");
  EXPECT_EQ(dataset_label("folder:/a/cats"), "cats");
  EXPECT_EQ(dataset_label("folder:/a/cats/"), "cats");
  EXPECT_EQ(dataset_label("folder:/"), "folder");
}

bool same(const Dataset& a, const Dataset& b) {
  return a.images.shape() == b.images.shape() && a.labels.shape() == b.labels.shape() &&
         std::equal(a.images.data<uint8_t>(), a.images.data<uint8_t>() + a.images.count(), b.images.data<uint8_t>()) &&
         std::equal(a.labels.data<int32_t>(), a.labels.data<int32_t>() + a.labels.count(), b.labels.data<int32_t>());
}

TEST_F(ImageFolder, comes_back_from_files_of_mnist_and_cifar10_as_it_was) {
  for (int i = 0; i < 30; ++i) {
    const auto grey = [i](int x, int y, int) { return static_cast<uint8_t>(7 * i + x * y); };
    write_picture(folder_.path() / fmt::format("{}/{}.png", i % 3, i), png(20, 20, 1, grey));
  }
  const TemporaryFolder idx, cifar;
  const DatasetSplits grey = load({.image_size = 20});
  ASSERT_EQ(grey.train.images.size(3), 1);
  EXPECT_EQ(find_dataset_format("idx").write(grey, idx.path()).size(), 5u);
  const DatasetSplits read = load_dataset({.name = "mnist", .data = idx.path()});
  EXPECT_TRUE(same(read.train, grey.train));
  EXPECT_TRUE(same(read.test, grey.test));

  write_picture(folder_.path() / "0/colour.png",
                png(40, 40, 3, [](int x, int y, int c) { return static_cast<uint8_t>(x * y * c); }));
  const DatasetSplits colour = load({.image_size = 32});
  ASSERT_EQ(colour.train.images.size(3), 3);
  EXPECT_EQ(find_dataset_format("cifar").write(colour, cifar.path()).size(), 7u);
  const DatasetSplits back = load_dataset({.name = "cifar10", .data = cifar.path()});
  EXPECT_TRUE(same(back.train, colour.train));
  EXPECT_TRUE(same(back.test, colour.test));
  EXPECT_TRUE(contains(error_of([&] { find_dataset_format("cifar").write(grey, cifar.path()); }),
                       {"images are 32x32, these are 20x20"}));
}

}  // namespace
}  // namespace convoy
