// Files told apart by their SHA-256: official, sound but other, damaged.
#include "data/verify.h"

#include "tensor/sha256.h"
#include "tests/data/files.h"

namespace convoy {
namespace {

std::string sum_of(const Bytes& bytes) { return sha256({reinterpret_cast<const char*>(bytes.data()), bytes.size()}); }

// A small CIFAR-10, whose files are published.
class Verify : public ::testing::Test {
 protected:
  Verify() {
    for (const char* name : {"data_batch_1.bin", "test_batch.bin"}) {
      folder_.write(name, content_);
      publication_.contents.push_back({name, static_cast<int64_t>(content_.size()), sum_of(content_)});
    }
  }

  std::vector<VerifiedFile> verified() const {
    return verify(find_dataset_row("cifar10"), publication_, folder_.path());
  }
  // Of test_batch.bin, once it holds `bytes`.
  VerifiedFile test_batch(const Bytes& bytes) const {
    folder_.write("test_batch.bin", bytes);
    for (const VerifiedFile& file : verified()) {
      if (file.path.filename() == "test_batch.bin") return file;
    }
    return {};
  }

  const TemporaryFolder folder_;
  const Bytes content_ = join({cifar_record(3, 1), cifar_record(9, 2)});
  Publication publication_{.name = "cifar10", .mirrors = {}, .downloads = {}};
};

TEST_F(Verify, published_files_are_official) {
  const std::vector<VerifiedFile> files = verified();
  ASSERT_EQ(files.size(), 2u);
  for (const VerifiedFile& file : files) {
    EXPECT_EQ(file.verdict, Verdict::official);
    EXPECT_EQ(file.line, file.path.string() + ": official");
  }
}

TEST_F(Verify, fewer_records_are_another_file) {
  const VerifiedFile file = test_batch(cifar_record(3, 1));
  EXPECT_EQ(file.verdict, Verdict::other);
  EXPECT_TRUE(contains(file.line, {"test_batch.bin: not official: 1 records"}));
}

TEST_F(Verify, one_other_pixel_is_damage) {
  Bytes flipped = content_;
  flipped[1000] ^= 1;
  const VerifiedFile file = test_batch(flipped);
  EXPECT_EQ(file.verdict, Verdict::damaged);
  EXPECT_TRUE(contains(file.line, {"damaged, or of another data set: 2 records", sum_of(flipped)}));
}

TEST_F(Verify, files_that_cannot_be_read_are_damaged) {
  Bytes cut = content_, bad_label = content_;
  cut.pop_back();
  bad_label[0] = 10;
  for (const Bytes& bytes : {cut, bad_label, Bytes{}}) EXPECT_EQ(test_batch(bytes).verdict, Verdict::damaged);
}

TEST_F(Verify, what_is_missing_altogether_is_told) {
  std::filesystem::remove(folder_.path() / "test_batch.bin");
  const std::vector<VerifiedFile> files = verified();
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[1].verdict, Verdict::damaged);
  EXPECT_TRUE(contains(files[1].line, {"test_batch.bin is missing", "convoy data fetch cifar10"}));
}

TEST_F(Verify, forms_that_are_not_published_are_not_called_official) {
  publication_.contents.clear();
  for (const VerifiedFile& file : verified()) {
    EXPECT_EQ(file.verdict, Verdict::other);
    EXPECT_TRUE(contains(file.line, {"2 records; whether official is not known"}));
  }
}

TEST_F(Verify, archives_are_read_through) {
  const TemporaryFolder folder;
  const auto archive = folder.write(
      "cifar-10-binary.tar.gz",
      gzip(join({tar_entry("c/data_batch_1.bin", content_), tar_entry("c/test_batch.bin", content_), tar_end()})));
  const auto files = verify(find_dataset_row("cifar10"), publication_, archive);
  ASSERT_EQ(files.size(), 1u);
  EXPECT_TRUE(contains(files[0].line, {"4 records"}));
}

}  // namespace
}  // namespace convoy
