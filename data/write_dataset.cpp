#include "data/write_dataset.h"

#include "data/decode_images.h"
#include "tensor/atomic_file.h"
#include "tensor/cut.h"
#include "tensor/error.h"
#include "tensor/find_row.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kClasses = 10;  // of both formats, as they are read

void check_classes(const Dataset& dataset, const char* format) {
  const auto classes = static_cast<int64_t>(dataset.classes.size());
  if (classes > kClasses)
    fail(ErrorKind::data, "--format {}: has at most {} classes, here are {}", format, kClasses, classes);
}

// One image [h,w,c] with `wanted` channels.
std::vector<uint8_t> with_channels(const Dataset& dataset, int64_t image, int64_t wanted) {
  const int64_t c = dataset.images.size(3), pixels = dataset.images.size(1) * dataset.images.size(2);
  const uint8_t* const from = dataset.images.data<uint8_t>() + image * pixels * c;
  std::vector<uint8_t> result(static_cast<size_t>(pixels * wanted));
  if (c == wanted) {
    std::copy_n(from, pixels * c, result.data());
  } else if (wanted == 1) {
    to_grey(from, pixels, result.data());
  } else {
    for (int64_t i = 0; i < pixels * wanted; ++i) result[static_cast<size_t>(i)] = from[i / wanted];
  }
  return result;
}

fs::path write_class_names(const Dataset& dataset, const fs::path& file) {
  std::string text;
  for (const std::string& name : dataset.classes) text += name + "\n";
  write_file_atomically(file, text);
  return file;
}

void add_big_endian(std::string& bytes, int64_t number) {
  for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(number >> shift & 0xff);
}

std::string idx_header(std::initializer_list<int64_t> extents) {
  std::string header = {0, 0, 8, static_cast<char>(extents.size())};
  for (const int64_t extent : extents) add_big_endian(header, extent);
  return header;
}

// MNIST's four files (idx.h), and the names of the classes.
std::vector<fs::path> write_idx(const DatasetSplits& splits, const fs::path& folder) {
  check_classes(splits.train, "idx");
  std::vector<fs::path> files;
  const auto write = [&](const std::string& name, const std::string& bytes) {
    write_file_atomically(folder / name, bytes);
    files.push_back(folder / name);
  };
  for (const auto& [dataset, prefix] : {std::pair{&splits.train, "train"}, {&splits.test, "t10k"}}) {
    std::string images = idx_header({dataset->size(), dataset->images.size(1), dataset->images.size(2)});
    std::string labels = idx_header({dataset->size()});
    for (int64_t i = 0; i < dataset->size(); ++i) {
      const std::vector<uint8_t> image = with_channels(*dataset, i, 1);
      images.append(image.begin(), image.end());
      labels += static_cast<char>(dataset->labels.data<int32_t>()[i]);
    }
    write(fmt::format("{}-images-idx3-ubyte", prefix), images);
    write(fmt::format("{}-labels-idx1-ubyte", prefix), labels);
  }
  files.push_back(write_class_names(splits.train, folder / "classes.txt"));
  return files;
}

// Records of a label and all red, then all green, then all blue pixels.
std::string cifar_records(const Dataset& dataset, Range range) {
  std::string records;
  for (int64_t i = range.begin; i < range.end; ++i) {
    records += static_cast<char>(dataset.labels.data<int32_t>()[i]);
    const std::vector<uint8_t> image = with_channels(dataset, i, 3);
    for (size_t channel = 0; channel < 3; ++channel) {
      for (size_t at = channel; at < image.size(); at += 3) records += static_cast<char>(image[at]);
    }
  }
  return records;
}

// CIFAR-10's binary version: https://www.cs.toronto.edu/~kriz/cifar.html
std::vector<fs::path> write_cifar(const DatasetSplits& splits, const fs::path& folder) {
  constexpr int64_t kSide = 32, kFiles = 5;
  check_classes(splits.train, "cifar");
  const Shape& shape = splits.train.images.shape();
  if (shape[1] != kSide || shape[2] != kSide)
    fail(ErrorKind::data, "--format cifar: images are {0}x{0}, these are {1}x{2}; of folders, choose --image-size {0}",
         kSide, shape[1], shape[2]);
  std::vector<fs::path> files;
  const auto write = [&](const std::string& name, const Dataset& dataset, Range range) {
    if (range.size() == 0) return;
    write_file_atomically(folder / name, cifar_records(dataset, range));
    files.push_back(folder / name);
  };
  for (int64_t file = 0; file < kFiles; ++file)
    write(fmt::format("data_batch_{}.bin", file + 1), splits.train, cut(splits.train.size(), file, kFiles));
  write("test_batch.bin", splits.test, {0, splits.test.size()});
  files.push_back(write_class_names(splits.train, folder / "batches.meta.txt"));
  return files;
}

constexpr DatasetFormatRow kTable[] = {
    {.name = "idx", .help = "MNIST's four files; grey, at most 10 classes", .read_as = "mnist", .write = write_idx},
    {.name = "cifar",
     .help = "CIFAR-10's binary files; 32x32, in colour, at most 10 classes",
     .read_as = "cifar10",
     .write = write_cifar},
};

}  // namespace

std::span<const DatasetFormatRow> dataset_format_table() { return kTable; }

const DatasetFormatRow& find_dataset_format(std::string_view name) { return find_row("format", name, kTable); }

}  // namespace convoy
