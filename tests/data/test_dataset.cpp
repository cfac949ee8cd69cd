// The table of data sets, where they are searched, and how training sets are cut.
#include "data/dataset.h"

#include <algorithm>
#include <set>

#include "data/places.h"
#include "data/published_files.h"
#include "tests/data/files.h"

namespace convoy {
namespace {

std::vector<int32_t> labels_of(const Dataset& dataset) {
  const int32_t* labels = dataset.labels.data<int32_t>();
  return {labels, labels + dataset.size()};
}

// MNIST files with training labels 0, 1, ... 6 and test labels 9, 8; image i is filled with its label.
void write_small(const TemporaryFolder& folder, const std::string& below = "") {
  folder.write(below + "train-images-idx3-ubyte",
               join({idx_header({7, 1, 2}), {0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6}}));
  folder.write(below + "train-labels-idx1-ubyte", join({idx_header({7}), {0, 1, 2, 3, 4, 5, 6}}));
  folder.write(below + "t10k-images-idx3-ubyte", join({idx_header({2, 1, 2}), {9, 9, 8, 8}}));
  folder.write(below + "t10k-labels-idx1-ubyte", join({idx_header({2}), {9, 8}}));
}

TEST(Dataset, slices_share_memory_and_keep_images_with_labels) {
  const TemporaryFolder folder;
  write_small(folder);
  const Dataset train = load_dataset({.name = "mnist", .data = folder.path()}).train, part = train.slice(2, 5);
  EXPECT_EQ(labels_of(part), (std::vector<int32_t>{2, 3, 4}));
  EXPECT_EQ(part.images.shape(), Shape({3, 1, 2, 1}));
  EXPECT_EQ(part.images.data<uint8_t>(), train.images.data<uint8_t>() + 4);
  EXPECT_EQ(part.classes, train.classes);
  EXPECT_EQ(train.slice(7, 7).size(), 0);
}

TEST(Dataset, holdout_takes_the_last_training_images_as_the_validation_set) {
  const TemporaryFolder folder;
  write_small(folder);
  const DatasetSplits splits = load_dataset({.name = "mnist", .data = folder.path(), .holdout = 2});
  EXPECT_EQ(labels_of(splits.train), (std::vector<int32_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(labels_of(splits.test), (std::vector<int32_t>{5, 6}));
  EXPECT_EQ(splits.test.images.data<uint8_t>()[0], 5);
}

TEST(Dataset, limit_takes_the_first_training_images_after_the_holdout) {
  const TemporaryFolder folder;
  write_small(folder);
  const auto load = [&](int64_t holdout, int64_t limit) {
    return load_dataset({.name = "mnist", .data = folder.path(), .holdout = holdout, .limit = limit});
  };
  EXPECT_EQ(labels_of(load(0, 3).train), (std::vector<int32_t>{0, 1, 2}));
  EXPECT_EQ(labels_of(load(0, 3).test), (std::vector<int32_t>{9, 8}));
  EXPECT_EQ(labels_of(load(6, 3).train), (std::vector<int32_t>{0}));
  EXPECT_EQ(labels_of(load(6, 3).test), (std::vector<int32_t>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(load(0, 0).train.size(), 7);
  EXPECT_EQ(load(0, 100).train.size(), 7);
}

TEST(Dataset, refuses_a_holdout_that_leaves_nothing_and_negative_counts) {
  const TemporaryFolder folder;
  write_small(folder);
  const auto error = [&](int64_t holdout, int64_t limit) {
    return error_of([&] { load_dataset({.name = "mnist", .data = folder.path(), .holdout = holdout, .limit = limit}); },
                    ErrorKind::usage);
  };
  EXPECT_TRUE(contains(error(7, 0), {"--holdout: 7 of mnist's 7 training images"}));
  EXPECT_TRUE(contains(error(100, 0), {"--holdout: 100"}));
  EXPECT_TRUE(contains(error(-1, 0), {"--holdout: -1"}));
  EXPECT_TRUE(contains(error(0, -5), {"limit: -5"}));
}

TEST(Dataset, an_unknown_name_gets_the_nearest_one) {
  const auto error = error_of([] { load_dataset({.name = "cifar-10"}); }, ErrorKind::usage);
  EXPECT_TRUE(contains(error, {"cifar-10", "did you mean 'cifar10'", "mnist", "synthetic"}));
}

TEST(Dataset, every_row_of_the_table_is_complete_and_its_name_unique) {
  std::set<std::string> names;
  for (const DatasetRow& row : dataset_table()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    if (row.takes_path) {
      EXPECT_EQ(&find_dataset_row(std::string(row.name) + ":a"), &row);
      continue;
    }
    EXPECT_EQ(&find_dataset_row(row.name), &row);
    EXPECT_TRUE(row.help && *row.help && row.folder && row.files && row.find && row.load) << row.name;
    if (*row.files == 0) continue;
    EXPECT_TRUE(row.files_in && row.describe) << row.name;
    EXPECT_EQ(find_publication(row.name).name, row.name);
  }
}

TEST(Dataset, data_not_found_names_the_places_and_the_cure) {
  const TemporaryFolder folder;
  for (const char* name : {"mnist", "cifar10", "fashion-mnist"}) {
    const DatasetRow& row = find_dataset_row(name);
    const std::string error = error_of([&] { load_dataset({.name = name, .data = folder.path()}); });
    EXPECT_TRUE(
        contains(error, {std::string(name) + ": not found", (folder.path() / row.folder).string(), row.files, "--data",
                         "CONVOY_DATA", "--dataset synthetic", fmt::format("`convoy data fetch {}`", name)}));
  }
}

TEST(Dataset, is_searched_in_the_environments_folder_then_in_the_cache) {
  const TemporaryFolder data, cache;
  write_small(cache, "convoy/mnist/");
  const EnvironmentVariable cache_home("XDG_CACHE_HOME", cache.path().c_str());
  const EnvironmentVariable convoy_data("CONVOY_DATA", data.path().c_str());
  const DatasetRow& row = find_dataset_row("mnist");
  EXPECT_EQ(row.find(""), cache.path() / "convoy" / "mnist");
  write_small(data);
  EXPECT_EQ(row.find(""), data.path());
  write_small(data, "mnist/");
  EXPECT_EQ(row.find(""), data.path() / "mnist");
  const TemporaryFolder named;
  EXPECT_EQ(row.find(named.path()), "") << "--data is searched alone";
}

TEST(Dataset, places_follow_what_the_environment_sets) {
  using Paths = std::vector<std::filesystem::path>;
  const EnvironmentVariable data("CONVOY_DATA", ""), cache("XDG_CACHE_HOME", nullptr);
  {
    const EnvironmentVariable home("HOME", "/h");
    EXPECT_EQ(places_to_search("", "f"), (Paths{"/h/.cache/convoy/f", "/h/.cache/convoy"}));
    const EnvironmentVariable set("CONVOY_DATA", "/d");
    EXPECT_EQ(places_to_search("", "f"), (Paths{"/d/f", "/d", "/h/.cache/convoy/f", "/h/.cache/convoy"}));
    EXPECT_EQ(places_to_search("x", "f"), (Paths{"x/f", "x"}));
  }
  const EnvironmentVariable home("HOME", nullptr);
  EXPECT_TRUE(places_to_search("", "f").empty());
  EXPECT_TRUE(contains(error_of([] { load_dataset({.name = "mnist"}); }), {"searched nowhere"}));
}

}  // namespace
}  // namespace convoy
