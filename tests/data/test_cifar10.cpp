// CIFAR-10 files and archives, sound and damaged in every way: small ones that each test writes for itself.
#include "data/cifar10.h"

#include "tests/data/files.h"

namespace convoy {
namespace {

constexpr int64_t kImage = 32 * 32 * 3;

Bytes small_batch(int records, uint32_t seed) {
  Bytes bytes;
  for (int i = 0; i < records; ++i)
    bytes = join({bytes, cifar_record(static_cast<uint8_t>((seed + static_cast<uint32_t>(i)) % 10),
                                      seed + static_cast<uint32_t>(i))});
  return bytes;
}

const Bytes kBatch1 = small_batch(3, 10), kBatch4 = small_batch(2, 20), kTest = small_batch(1, 30);

void write_small(const TemporaryFolder& folder) {
  folder.write("data_batch_1.bin", kBatch1);
  folder.write("data_batch_4.bin", kBatch4);
  folder.write("test_batch.bin", kTest);
}

// As in the official archive: a folder, files in no particular order, and some that do not matter.
Bytes small_archive() {
  return join({tar_entry("cifar-10-batches-bin/", {}, '5'), tar_entry("cifar-10-batches-bin/data_batch_4.bin", kBatch4),
               tar_entry("cifar-10-batches-bin/readme.html", pattern(700)),
               tar_entry("cifar-10-batches-bin/test_batch.bin", kTest), tar_entry("pax", pattern(30), 'x'),
               tar_entry("cifar-10-batches-bin/data_batch_1.bin", kBatch1), tar_end()});
}

void expect_image(const Dataset& dataset, int64_t at, const Bytes& batch, int64_t record) {
  const uint8_t* source = batch.data() + record * (kImage + 1);
  EXPECT_EQ(dataset.labels.data<int32_t>()[at], source[0]);
  const uint8_t* image = dataset.images.data<uint8_t>() + at * kImage;
  for (int y = 0; y < 32; ++y)
    for (int x = 0; x < 32; ++x)
      for (int c = 0; c < 3; ++c)
        ASSERT_EQ(image[(y * 32 + x) * 3 + c], source[1 + c * 1024 + y * 32 + x]) << y << " " << x << " " << c;
}

void expect_small(const DatasetSplits& splits) {
  ASSERT_EQ(splits.train.images.shape(), Shape({5, 32, 32, 3}));
  ASSERT_EQ(splits.test.images.shape(), Shape({1, 32, 32, 3}));
  for (int64_t i = 0; i < 3; ++i) expect_image(splits.train, i, kBatch1, i);
  for (int64_t i = 0; i < 2; ++i) expect_image(splits.train, 3 + i, kBatch4, i);
  expect_image(splits.test, 0, kTest, 0);
  EXPECT_EQ(splits.train.classes[3], "cat");
}

std::string error_with(const char* name, const Bytes& bytes) {
  const TemporaryFolder folder;
  write_small(folder);
  folder.write(name, bytes);
  return error_of([&] { load_cifar10(folder.path()); });
}

std::string archive_error(const Bytes& bytes) {
  const TemporaryFolder folder;
  const auto archive = folder.write("cifar-10-binary.tar.gz", bytes);
  return error_of([&] { load_cifar10(archive); });
}

TEST(Cifar10, converts_planar_records_to_interleaved_images) {
  const TemporaryFolder folder;
  write_small(folder);
  expect_small(load_cifar10(folder.path()));
}

TEST(Cifar10, reads_the_archive_plain_or_gzip) {
  const TemporaryFolder folder;
  expect_small(load_cifar10(folder.write("cifar-10-binary.tar.gz", gzip(small_archive()))));
  expect_small(load_cifar10(folder.write("cifar-10-binary.tar", small_archive())));
}

TEST(Cifar10, has_the_means_and_deviations_of_its_channels) {
  const TemporaryFolder folder;
  write_small(folder);
  const Normalisation normalisation = load_cifar10(folder.path()).test.normalisation;
  const float mean[] = {0.4914f, 0.4822f, 0.4465f}, deviation[] = {0.2471f, 0.2435f, 0.2616f};
  for (size_t c = 0; c < 3; ++c) {
    EXPECT_EQ(normalisation.mean[c], mean[c]);
    EXPECT_EQ(normalisation.std[c], deviation[c]);
  }
}

TEST(Cifar10, warns_about_unofficial_sizes_and_missing_training_files) {
  const TemporaryFolder folder;
  write_small(folder);
  std::string all;
  for (const std::string& warning : load_cifar10(folder.path()).warnings) all += warning + "\n";
  EXPECT_TRUE(contains(
      all, {"data_batch_1.bin: 3 records", "data_batch_4.bin: 2 records", "test_batch.bin: 1 records", "10000"}));
  EXPECT_TRUE(
      contains(all, {"data_batch_2.bin is missing", "data_batch_3.bin is missing", "data_batch_5.bin is missing"}));
}

TEST(Cifar10, is_found_as_files_as_an_archive_or_by_the_path_of_the_archive) {
  const TemporaryFolder folder;
  EXPECT_EQ(find_cifar10(folder.path()), "");
  const auto archive = folder.write("cifar-10-binary.tar.gz", {});
  EXPECT_EQ(find_cifar10(folder.path()), archive);
  EXPECT_EQ(find_cifar10(archive), archive);
  folder.write("data_batch_2.bin", {});
  EXPECT_EQ(find_cifar10(folder.path()), folder.path());
  folder.write("cifar-10-batches-bin/test_batch.bin", {});
  EXPECT_EQ(find_cifar10(folder.path()), folder.path() / "cifar-10-batches-bin");
}

TEST(Cifar10, needs_the_test_file_and_one_training_file) {
  const TemporaryFolder folder;
  write_small(folder);
  std::filesystem::remove(folder.path() / "test_batch.bin");
  EXPECT_TRUE(
      contains(error_of([&] { load_cifar10(folder.path()); }), {folder.path().string(), "test_batch.bin is missing"}));
  const TemporaryFolder other;
  other.write("test_batch.bin", kTest);
  EXPECT_TRUE(contains(error_of([&] { load_cifar10(other.path()); }),
                       {"data_batch_1.bin to data_batch_5.bin are all missing"}));
}

TEST(Cifar10, refuses_files_that_are_not_whole_records) {
  EXPECT_TRUE(contains(error_with("data_batch_1.bin", {}), {"data_batch_1.bin: the file is empty"}));
  Bytes bytes = kBatch1;
  bytes.pop_back();
  EXPECT_TRUE(contains(error_with("data_batch_1.bin", bytes),
                       {"data_batch_1.bin: truncated", "9218 bytes", "2 records", "3072 bytes more"}));
  bytes.resize(kBatch1.size() + 1);
  EXPECT_TRUE(contains(error_with("test_batch.bin", bytes), {"test_batch.bin: truncated", "1 bytes more"}));
}

TEST(Cifar10, refuses_a_label_out_of_range) {
  Bytes bytes = kBatch4;
  bytes[3073] = 10;
  EXPECT_TRUE(contains(error_with("data_batch_4.bin", bytes), {"data_batch_4.bin: label 10 of record 1"}));
}

TEST(Cifar10, refuses_a_damaged_archive) {
  const Bytes archive = small_archive();
  EXPECT_TRUE(contains(archive_error({}), {"cut short"}));
  EXPECT_TRUE(contains(archive_error(pattern(5000)), {"not a tar archive"}));
  Bytes bytes = archive;
  bytes[3] ^= 1;  // in the first name
  EXPECT_TRUE(contains(archive_error(bytes), {"not a tar archive, or damaged", "checksum"}));
  bytes = gzip(archive);
  bytes[bytes.size() - 8] ^= 1;
  EXPECT_TRUE(contains(archive_error(bytes), {"gzip stream is damaged"}));
  bytes = gzip(archive);
  bytes.resize(bytes.size() / 2);
  EXPECT_TRUE(contains(archive_error(bytes), {"gzip stream is cut short"}));
}

TEST(Cifar10, refuses_an_archive_that_is_cut_short_anywhere) {
  const Bytes archive = small_archive();
  // In a header, in a content, in its padding, at a header, in the end mark.
  for (const size_t size :
       {size_t{200}, size_t{2000}, size_t{512 + 512 + 6146 + 3}, size_t{512}, archive.size() - 600 - 512}) {
    EXPECT_TRUE(contains(archive_error(Bytes(archive.begin(), archive.begin() + static_cast<long>(size))),
                         {"archive is cut short"}))
        << size;
  }
}

TEST(Cifar10, names_the_archive_and_the_entry_at_fault) {
  Bytes bytes = kTest;
  bytes[0] = 200;
  const std::string error =
      archive_error(join({tar_entry("d/data_batch_1.bin", kBatch1), tar_entry("d/test_batch.bin", bytes), tar_end()}));
  EXPECT_TRUE(contains(error, {"cifar-10-binary.tar.gz: d/test_batch.bin: label 200 of record 0"}));
  EXPECT_TRUE(contains(archive_error(join({tar_entry("d/data_batch_1.bin", kBatch1), tar_end()})),
                       {"test_batch.bin is missing"}));
}

TEST(Cifar10, refuses_an_entry_whose_size_is_absurd_without_allocating_it) {
  const auto with_size = [](const std::string& octal) {
    Bytes entry = tar_entry("data_batch_1.bin", {});
    std::copy(octal.begin(), octal.end(), entry.begin() + 124);
    std::fill(entry.begin() + 148, entry.begin() + 156, ' ');
    int sum = 0;
    for (const uint8_t byte : entry) sum += byte;
    const std::string text = fmt::format("{:06o}", sum);
    std::copy(text.begin(), text.end(), entry.begin() + 148);
    return join({entry, tar_end()});
  };
  EXPECT_TRUE(contains(archive_error(with_size("77777777777")), {"data_batch_1.bin: 8589934591 bytes, more than"}));
  EXPECT_TRUE(
      contains(archive_error(with_size("\x80\x7f\x7f")), {"size of 'data_batch_1.bin' is not an octal number"}));
  EXPECT_TRUE(
      contains(archive_error(with_size("00000600000")), {"cut short in 'data_batch_1.bin', 1024 of 196608 bytes"}));
}

}  // namespace
}  // namespace convoy
