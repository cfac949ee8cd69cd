#include "data/dataset.h"

#include <fmt/ranges.h>

#include <string>
#include <vector>

#include "data/cifar10.h"
#include "data/fashion_mnist.h"
#include "data/image_folder.h"
#include "data/mnist.h"
#include "data/mnist_files.h"
#include "data/places.h"
#include "data/synthetic.h"
#include "tensor/find_row.h"

namespace convoy {
namespace {

constexpr const char* kMnistFileNames =
    "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, each plain "
    "or .gz";

constexpr DatasetRow kTable[] = {
    {.name = "mnist",
     .help = "handwritten digits, 28x28 grey, 60000 + 10000 images",
     .folder = kMnistFolder,
     .files = kMnistFileNames,
     .find = find_mnist,
     .load = [](const std::filesystem::path& found, const DatasetRequest&) { return load_mnist(found); },
     .files_in = mnist_files_in,
     .describe = describe_mnist_file,
     .h = 28,
     .w = 28,
     .c = 1,
     .classes = 10,
     .crop_pad = 2,
     .flip = false,
     .augment_by_default = false},
    {.name = "cifar10",
     .help = "photographs of ten classes, 32x32 RGB, 50000 + 10000 images",
     .folder = kCifar10Folder,
     .files = "cifar-10-binary.tar.gz, or its data_batch_1.bin to data_batch_5.bin and test_batch.bin",
     .find = find_cifar10,
     .load = [](const std::filesystem::path& found, const DatasetRequest&) { return load_cifar10(found); },
     .files_in = cifar10_files_in,
     .describe = describe_cifar10_file,
     .h = 32,
     .w = 32,
     .c = 3,
     .classes = 10,
     .crop_pad = 4,
     .flip = true,
     .augment_by_default = true},
    {.name = "fashion-mnist",
     .help = "photographs of clothes, 28x28 grey, 60000 + 10000 images",
     .folder = kFashionMnistFolder,
     .files = kMnistFileNames,
     .find = find_fashion_mnist,
     .load = [](const std::filesystem::path& found, const DatasetRequest&) { return load_fashion_mnist(found); },
     .files_in = mnist_files_in,
     .describe = describe_mnist_file,
     .h = 28,
     .w = 28,
     .c = 1,
     .classes = 10,
     .crop_pad = 2,
     .flip = true,
     .augment_by_default = false},
    {.name = "synthetic",
     .help = "digits drawn by code from the seed, 28x28 grey; needs no files",
     .folder = "",
     .files = "",
     .find = [](const std::filesystem::path&) { return std::filesystem::path("built in"); },
     .load = [](const std::filesystem::path&, const DatasetRequest& request) { return draw_synthetic(request); },
     .files_in = nullptr,
     .describe = nullptr,
     .h = 28,
     .w = 28,
     .c = 1,
     .classes = 10,
     .crop_pad = 2,
     .flip = false,
     .augment_by_default = false},
    {.name = kFolderDataset,
     .help = "folder:PATH, images of your own (PNG, JPEG, BMP), a folder in PATH for each class",
     .folder = "",
     .files = "",
     .find = nullptr,
     .load = nullptr,
     .files_in = nullptr,
     .describe = nullptr,
     .h = 0,
     .w = 0,
     .c = 0,
     .classes = 0,
     .crop_pad = 4,
     .flip = true,
     .augment_by_default = true,
     .takes_path = true},
};

[[noreturn]] void fail_not_found(const DatasetRow& row, const std::filesystem::path& data) {
  std::error_code none;
  if (!data.empty() && !std::filesystem::exists(data, none))
    fail(ErrorKind::data,
         "--data {0}: there is no such folder; name the one that {1} is in, or let `convoy data fetch {1} --data {0}` "
         "make it",
         data.string(), row.name);
  std::vector<std::string> places;
  for (const auto& place : places_to_search(data, row.folder)) places.push_back(place.string());
  fail(ErrorKind::data,
       "{}: not found; searched {}. `convoy data fetch {}` downloads it. Or put {} into one of these, or name their "
       "folder with --data DIR or $CONVOY_DATA; --dataset synthetic needs no files",
       row.name,
       places.empty() ? "nowhere (neither --data, $CONVOY_DATA nor $HOME is set)"
                      : fmt::format("{}", fmt::join(places, ", ")),
       row.name, row.files);
}

}  // namespace

Dataset Dataset::slice(int64_t begin, int64_t end) const {
  Dataset part = *this;
  part.images = images.slice(begin, end);
  part.labels = labels.slice(begin, end);
  return part;
}

Dataset Dataset::to(Device device) const {
  Dataset moved = *this;
  moved.images = images.to(device);
  return moved;
}

std::span<const DatasetRow> dataset_table() { return kTable; }

const DatasetRow& find_dataset_row(std::string_view name) {
  const size_t colon = name.find(':');
  const DatasetRow& row = find_row("dataset", name.substr(0, colon), kTable);
  const bool has_path = colon != std::string_view::npos;
  CHECK(row.takes_path || !has_path, "dataset {}: {} takes no path; images of your own are {}:PATH", name, row.name,
        kFolderDataset);
  CHECK(!row.takes_path || (has_path && colon + 1 < name.size()), "dataset {}: name the folder, as {}:PATH", name,
        row.name);
  return row;
}

std::filesystem::path dataset_path(std::string_view name) {
  const size_t colon = name.find(':');
  return colon == std::string_view::npos ? "" : std::filesystem::path(name.substr(colon + 1));
}

std::string dataset_label(const std::string& name) {
  const std::filesystem::path path = dataset_path(name);
  if (path.empty()) return name;
  std::error_code none;
  const std::filesystem::path whole = std::filesystem::weakly_canonical(path, none);
  const std::string last = (whole.has_filename() ? whole : whole.parent_path()).filename().string();
  return last.empty() ? kFolderDataset : last;
}

std::filesystem::path place_of(const DatasetRow& row, const std::filesystem::path& data) {
  const std::filesystem::path found = row.find(data);
  if (found.empty()) fail_not_found(row, data);
  return found;
}

DatasetSplits load_dataset(const DatasetRequest& request) {
  const DatasetRow& row = find_dataset_row(request.name);
  CHECK(request.holdout >= 0, "--holdout: {} images, at least 0 are needed", request.holdout);
  CHECK(request.limit >= 0, "--limit: {} images, at least 0 are needed (0: all)", request.limit);

  DatasetSplits splits = row.takes_path ? load_image_folder(dataset_path(request.name), request)
                                        : row.load(place_of(row, request.data), request);
  const int64_t size = splits.train.size();
  CHECK(request.holdout < size, "--holdout: {} of {}'s {} training images leave none to train on", request.holdout,
        request.name, size);
  if (request.holdout > 0) {
    splits.test = splits.train.slice(size - request.holdout, size);
    splits.train = splits.train.slice(0, size - request.holdout);
  }
  if (request.limit > 0 && request.limit < splits.train.size()) splits.train = splits.train.slice(0, request.limit);
  return splits;
}

}  // namespace convoy
