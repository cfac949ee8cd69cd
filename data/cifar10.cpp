#include "data/cifar10.h"

#include <algorithm>
#include <map>

#include "data/gzip_reader.h"
#include "data/places.h"
#include "data/tar_reader.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSide = 32, kPixels = kSide * kSide, kChannels = 3, kRecord = 1 + kChannels * kPixels;
constexpr int64_t kOfficialRecords = 10000;              // in each file
constexpr int64_t kMaxRecords = 100 * kOfficialRecords;  // in each file; bounds the memory that a damaged one can take
constexpr const char* kTestFile = "test_batch.bin";
constexpr const char* kArchives[] = {"cifar-10-binary.tar.gz", "cifar-10-binary.tar"};

std::string train_file(int number) { return fmt::format("data_batch_{}.bin", number); }

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

// One of the .bin files: where it comes from, for messages, and its records.
struct BatchFile {
  std::string source;
  std::vector<uint8_t> bytes;
  int64_t records() const { return static_cast<int64_t>(bytes.size()) / kRecord; }
};
using BatchFiles = std::map<std::string, BatchFile>;  // by file name

std::vector<std::string> batch_names() {
  std::vector<std::string> names{kTestFile};
  for (int number = 1; number <= 5; ++number) names.push_back(train_file(number));
  return names;
}

BatchFile read_batch(const fs::path& path) {
  return {path.string(), GzipReader(path).read_up_to(kMaxRecords * kRecord + 1)};
}

BatchFiles read_folder(const fs::path& folder) {
  BatchFiles files;
  for (const fs::path& path : cifar10_files_in(folder)) files[path.filename().string()] = read_batch(path);
  return files;
}

BatchFiles read_archive(const fs::path& archive) {
  BatchFiles files;
  const std::vector<std::string> names = batch_names();
  TarReader reader(archive);
  while (const auto entry = reader.next()) {
    const std::string name = fs::path(entry->name).filename().string();
    if (std::find(names.begin(), names.end(), name) == names.end()) continue;
    const std::string source = fmt::format("{}: {}", archive.string(), entry->name);
    if (entry->bytes > kMaxRecords * kRecord)
      fail(ErrorKind::data, "{}: {} bytes, more than {} records", source, entry->bytes, kMaxRecords);
    files[name] = {source, reader.read_content()};
  }
  return files;
}

void check(const BatchFile& file) {
  const int64_t bytes = static_cast<int64_t>(file.bytes.size());
  if (bytes == 0) fail(ErrorKind::data, "{}: the file is empty", file.source);
  if (bytes > kMaxRecords * kRecord)
    fail(ErrorKind::data, "{}: more than {} records of {} bytes", file.source, kMaxRecords, kRecord);
  if (bytes % kRecord != 0) {
    fail(ErrorKind::data,
         "{}: truncated or not CIFAR-10's binary version: {} bytes are {} records of {} bytes and {} bytes "
         "more; get the file again",
         file.source, bytes, bytes / kRecord, kRecord, bytes % kRecord);
  }
  for (int64_t i = 0; i < file.records(); ++i) {
    const int label = file.bytes[static_cast<size_t>(i * kRecord)];
    if (label > 9) fail(ErrorKind::data, "{}: label {} of record {} is not in 0 to 9", file.source, label, i);
  }
}

// Records are planar (all red, all green, all blue); images are [H,W,C].
void unpack(const BatchFile& file, uint8_t* images, int32_t* labels) {
  for (int64_t i = 0; i < file.records(); ++i) {
    const uint8_t* record = file.bytes.data() + i * kRecord;
    labels[i] = record[0];
    const uint8_t *red = record + 1, *green = red + kPixels, *blue = green + kPixels;
    uint8_t* image = images + i * kPixels * kChannels;
    for (int64_t pixel = 0; pixel < kPixels; ++pixel) {
      image[3 * pixel] = red[pixel];
      image[3 * pixel + 1] = green[pixel];
      image[3 * pixel + 2] = blue[pixel];
    }
  }
}

Dataset assemble(const std::vector<const BatchFile*>& files) {
  int64_t count = 0;
  for (const BatchFile* file : files) count += file->records();
  Dataset dataset;
  dataset.images = Tensor::empty({count, kSide, kSide, kChannels}, DType::u8, Device{});
  dataset.labels = Tensor::empty({count}, DType::i32, Device{});
  dataset.classes = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
  dataset.normalisation = {.mean = {0.4914f, 0.4822f, 0.4465f}, .std = {0.2471f, 0.2435f, 0.2616f, 1}};
  int64_t first = 0;
  for (const BatchFile* file : files) {
    unpack(*file, dataset.images.data<uint8_t>() + first * kPixels * kChannels, dataset.labels.data<int32_t>() + first);
    first += file->records();
  }
  return dataset;
}

}  // namespace

fs::path find_cifar10(const fs::path& data) {
  if (is_file(data)) return data;
  for (const fs::path& place : places_to_search(data, kCifar10Folder)) {
    for (const std::string& name : batch_names()) {
      if (is_file(place / name)) return place;
    }
    for (const char* archive : kArchives) {
      if (is_file(place / archive)) return place / archive;
    }
  }
  return {};
}

std::vector<fs::path> cifar10_files_in(const fs::path& found) {
  if (is_file(found)) return {found};
  std::vector<fs::path> files;
  for (const std::string& name : batch_names()) {
    if (is_file(found / name)) files.push_back(found / name);
  }
  return files;
}

std::string describe_cifar10_file(const fs::path& path) {
  const std::vector<std::string> names = batch_names();
  const bool batch = std::ranges::find(names, path.filename().string()) != names.end();
  const BatchFiles files = batch ? BatchFiles{{"", read_batch(path)}} : read_archive(path);
  int64_t records = 0;
  for (const auto& [name, file] : files) {
    check(file);
    records += file.records();
  }
  return fmt::format("{} records", records);
}

DatasetSplits load_cifar10(const fs::path& found) {
  const BatchFiles files = is_file(found) ? read_archive(found) : read_folder(found);
  DatasetSplits splits;
  std::vector<const BatchFile*> train;
  std::vector<std::string> missing;
  for (const std::string& name : batch_names()) {
    const auto at = files.find(name);
    if (at == files.end()) {
      missing.push_back(name);
      continue;
    }
    const BatchFile& file = at->second;
    check(file);
    if (file.records() != kOfficialRecords) {
      splits.warnings.push_back(
          fmt::format("{}: {} records, the official file has {}", file.source, file.records(), kOfficialRecords));
    }
    if (name != kTestFile) train.push_back(&file);
  }
  if (!files.contains(kTestFile))
    fail(ErrorKind::data, "{}: {} is missing; `convoy data fetch cifar10` downloads it", found.string(), kTestFile);
  if (train.empty())
    fail(ErrorKind::data,
         "{}: data_batch_1.bin to data_batch_5.bin are all missing; `convoy data fetch cifar10` downloads them",
         found.string());
  for (const std::string& name : missing) {
    splits.warnings.push_back(fmt::format("{}: {} is missing, training on the other files", found.string(), name));
  }
  splits.train = assemble(train);
  splits.test = assemble({&files.at(kTestFile)});
  return splits;
}

}  // namespace convoy
