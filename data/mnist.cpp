#include "data/mnist.h"

#include <algorithm>
#include <limits>

#include "data/idx.h"
#include "data/places.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

struct SplitFiles {
  const char* prefix;
  int64_t official_images;
};
constexpr SplitFiles kTrain{"train", 60000}, kTest{"t10k", 10000};

// `kind` is "images-idx3" or "labels-idx1". An empty path when the file is not there under any spelling.
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

fs::path require_file(const fs::path& folder, const SplitFiles& split, const char* kind) {
  const fs::path path = find_file(folder, split, kind);
  if (path.empty()) {
    fail(ErrorKind::data, "{}: missing, as is its .gz; put one of them there",
         (folder / fmt::format("{}-{}-ubyte", split.prefix, kind)).string());
  }
  return path;
}

Dataset load_split(const fs::path& folder, const SplitFiles& split, std::vector<std::string>& warnings) {
  const fs::path image_path = require_file(folder, split, "images-idx3"),
                 label_path = require_file(folder, split, "labels-idx1");
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
  int32_t* label = dataset.labels.data<int32_t>();
  for (int64_t i = 0; i < count; ++i) {
    label[i] = labels.values[static_cast<size_t>(i)];
    if (label[i] > 9)
      fail(ErrorKind::data, "{}: label {} of image {} is not a digit from 0 to 9", label_path.string(), label[i], i);
  }
  dataset.classes = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
  dataset.normalisation = {.mean = {0.5f}, .std = {0.5f, 1, 1, 1}};
  if (count != split.official_images) {
    warnings.push_back(
        fmt::format("{}: {} images, the official file has {}", image_path.string(), count, split.official_images));
  }
  return dataset;
}

}  // namespace

fs::path find_mnist(const fs::path& data) {
  for (const fs::path& place : places_to_search(data, kMnistFolder)) {
    for (const SplitFiles& split : {kTrain, kTest}) {
      for (const char* kind : {"images-idx3", "labels-idx1"}) {
        if (!find_file(place, split, kind).empty()) return place;
      }
    }
  }
  return {};
}

DatasetSplits load_mnist(const fs::path& folder, uint64_t) {
  DatasetSplits splits;
  splits.train = load_split(folder, kTrain, splits.warnings);
  splits.test = load_split(folder, kTest, splits.warnings);
  const Shape &train = splits.train.images.shape(), &test = splits.test.images.shape();
  if (train[1] != test[1] || train[2] != test[2]) {
    fail(ErrorKind::data, "{}: training images are {} x {}, test images {} x {}", folder.string(), train[1], train[2],
         test[1], test[2]);
  }
  return splits;
}

}  // namespace convoy
