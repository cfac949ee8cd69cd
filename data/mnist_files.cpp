#include "data/mnist_files.h"

#include <algorithm>
#include <limits>

#include "data/idx.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

struct SplitFiles {
  const char* prefix;
  int64_t official_images;
};
constexpr SplitFiles kTrain{"train", 60000}, kTest{"t10k", 10000};
constexpr const char *kImages = "images-idx3", *kLabels = "labels-idx1";

// `kind` is kImages or kLabels. An empty path when the file is not there under any spelling.
fs::path find_file(const fs::path& folder, const SplitFiles& split, std::string kind) {
  std::string dotted = kind;
  std::replace(dotted.begin(), dotted.end(), '-', '.');
  for (const std::string& spelling : {kind, dotted}) {
    for (const char* ending : {"-ubyte", "-ubyte.gz"}) {
      const fs::path path = folder / fmt::format("{}-{}{}", split.prefix, spelling, ending);
      std::error_code ignored;
      if (fs::exists(path, ignored)) return path;
    }
  }
  return {};
}

fs::path require_file(const MnistFiles& set, const fs::path& folder, const SplitFiles& split, const char* kind) {
  const fs::path path = find_file(folder, split, kind);
  if (path.empty()) {
    fail(ErrorKind::data, "{}: missing, as is its .gz; `convoy data fetch {}` downloads it, or put one of them there",
         (folder / fmt::format("{}-{}-ubyte", split.prefix, kind)).string(), set.name);
  }
  return path;
}

void check_labels(const IdxArray& labels, const fs::path& path) {
  const auto wrong = std::ranges::find_if(labels.values, [](uint8_t label) { return label > 9; });
  if (wrong != labels.values.end())
    fail(ErrorKind::data, "{}: label {} of image {} is not in 0 to 9", path.string(), *wrong,
         wrong - labels.values.begin());
}

Dataset load_split(const MnistFiles& set, const fs::path& folder, const SplitFiles& split,
                   std::vector<std::string>& warnings) {
  const fs::path image_path = require_file(set, folder, split, kImages),
                 label_path = require_file(set, folder, split, kLabels);
  const IdxArray labels = read_idx(label_path, 1), images = read_idx(image_path, 3);
  const int64_t count = images.extents[0];
  if (labels.extents[0] != count) {
    fail(ErrorKind::data, "{}: {} labels for the {} images of {}", label_path.string(), labels.extents[0], count,
         image_path.string());
  }
  if (count > std::numeric_limits<int32_t>::max())
    fail(ErrorKind::data, "{}: {} images, more than 2^31 - 1", image_path.string(), count);

  Dataset dataset;
  dataset.images = Tensor::empty({count, images.extents[1], images.extents[2], 1}, DType::u8, Device{});
  std::copy(images.values.begin(), images.values.end(), dataset.images.data<uint8_t>());
  dataset.labels = Tensor::empty({count}, DType::i32, Device{});
  check_labels(labels, label_path);
  std::ranges::copy(labels.values, dataset.labels.data<int32_t>());
  dataset.classes.assign(set.classes.begin(), set.classes.end());
  dataset.normalisation = set.normalisation;
  if (count != split.official_images) {
    warnings.push_back(
        fmt::format("{}: {} images, the official file has {}", image_path.string(), count, split.official_images));
  }
  return dataset;
}

}  // namespace

fs::path find_mnist_files(const std::vector<fs::path>& places) {
  const auto place = std::ranges::find_if(places, [](const fs::path& place) { return !mnist_files_in(place).empty(); });
  return place == places.end() ? fs::path() : *place;
}

std::vector<fs::path> mnist_files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const SplitFiles& split : {kTrain, kTest}) {
    for (const char* kind : {kImages, kLabels}) {
      const fs::path file = find_file(folder, split, kind);
      if (!file.empty()) files.push_back(file);
    }
  }
  return files;
}

std::string describe_mnist_file(const fs::path& file) {
  if (file.filename().string().find("images") != std::string::npos) {
    const IdxArray images = read_idx(file, 3);
    return fmt::format("{} images of {}x{}", images.extents[0], images.extents[1], images.extents[2]);
  }
  const IdxArray labels = read_idx(file, 1);
  check_labels(labels, file);
  return fmt::format("{} labels", labels.extents[0]);
}

DatasetSplits load_mnist_files(const MnistFiles& set, const fs::path& folder) {
  DatasetSplits splits;
  splits.train = load_split(set, folder, kTrain, splits.warnings);
  splits.test = load_split(set, folder, kTest, splits.warnings);
  const Shape &train = splits.train.images.shape(), &test = splits.test.images.shape();
  if (train[1] != test[1] || train[2] != test[2]) {
    fail(ErrorKind::data, "{}: training images are {} x {}, test images {} x {}", folder.string(), train[1], train[2],
         test[1], test[2]);
  }
  return splits;
}

}  // namespace convoy
