// Whole data sets: what is downloaded, unpacked and left alone, and folders that cannot take it.
#include "data/fetch.h"

#include <sched.h>
#include <sys/mount.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "data/download.h"
#include "tensor/sha256.h"
#include "tests/data/files.h"
#include "tests/data/http_server.h"

namespace convoy {
namespace {

using Request = HttpServer::Request;
using Reply = HttpServer::Reply;

std::string text_of(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

PublishedFile published(const std::string& name, const std::string& content) {
  return {name, static_cast<int64_t>(content.size()), sha256(content)};
}

const std::string kOne = text_of(pattern(30'000)), kTwo = text_of(pattern(20'000, 2)), kArchive = [] {
  const auto bytes = [](const std::string& text) { return Bytes(text.begin(), text.end()); };
  return text_of(gzip(join({tar_entry("set/readme.html", {1}), tar_entry("set/one.bin", bytes(kOne)),
                            tar_entry("../../two.bin", bytes(kTwo)), tar_end()})));
}();

// Two publications, of one.bin and two.bin: as files, and in an archive.
class Fetch : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!download::built()) GTEST_SKIP() << download::library();
  }

  Publication files() const {
    return {.name = "pair",
            .mirrors = {server_.url()},
            .downloads = {published("one.bin", kOne), published("two.bin", kTwo)}};
  }
  Publication archive() const {
    return {.name = "pair",
            .mirrors = {server_.url()},
            .downloads = {published("pair.tar.gz", kArchive)},
            .contents = files().downloads};
  }

  // What lies in the folder, hidden files excepted.
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      const std::string name = entry.path().filename().string();
      if (!name.starts_with(".")) names.push_back(name);
    }
    std::ranges::sort(names);
    return names;
  }

  std::string error(const Publication& publication, ErrorKind kind) {
    return error_of([&] { fetch(publication, folder_, watch_); }, kind);
  }

  const EnvironmentVariable no_proxy_{"no_proxy", "127.0.0.1"};
  const TemporaryFolder temporary_;
  std::filesystem::path folder_ = temporary_.path() / "new" / "pair";
  std::atomic<int64_t> speed_ = 0;
  const HttpServer server_{[this](const Request& request) {
    Reply reply = request.path == "/one.bin"   ? whole_file(request, kOne)
                  : request.path == "/two.bin" ? whole_file(request, kTwo)
                                               : whole_file(request, kArchive);
    reply.bytes_per_second = speed_;
    return reply;
  }};
  std::mutex mutex_;
  std::vector<std::string> told_;
  FetchWatch watch_{.tell =
                        [this](const std::string& line) {
                          const std::lock_guard lock(mutex_);
                          told_.push_back(line);
                        },
                    .arrived = [](const PublishedFile&, int64_t) {},
                    .going_on = [] { return true; },
                    .patience = std::chrono::seconds(2)};
  using Names = std::vector<std::string>;
};

TEST_F(Fetch, downloads_what_is_missing_or_different) {
  EXPECT_EQ(fetch(files(), folder_, watch_), Fetched::now);
  EXPECT_EQ(names(), (Names{"one.bin", "two.bin"}));
  EXPECT_EQ(fetch(files(), folder_, watch_), Fetched::before);
  EXPECT_EQ(server_.requests().size(), 2u);

  std::ofstream(folder_ / "two.bin") << "mine";
  EXPECT_EQ(fetch(files(), folder_, watch_), Fetched::now);
  EXPECT_EQ(server_.requests().size(), 3u);
  EXPECT_EQ(names(), (Names{"one.bin", "two.bin", "two.bin.old"}));
  EXPECT_TRUE(is_published(folder_ / "two.bin", files().downloads[1]));
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_TRUE(contains(told_[0], {"two.bin: is not the official file; kept as two.bin.old"}));
}

TEST_F(Fetch, unpacks_an_archive_into_the_folder_and_nowhere_else) {
  EXPECT_EQ(fetch(archive(), folder_, watch_), Fetched::now);
  EXPECT_EQ(names(), (Names{"one.bin", "two.bin"}));
  EXPECT_FALSE(std::filesystem::exists(folder_.parent_path().parent_path() / "two.bin"));
  for (const PublishedFile& file : archive().contents) EXPECT_TRUE(is_published(folder_ / file.name, file));
  EXPECT_EQ(fetch(archive(), folder_, watch_), Fetched::before);
}

TEST_F(Fetch, an_archive_that_is_here_already_is_used_and_stays) {
  std::filesystem::create_directories(folder_);
  std::ofstream(folder_ / "pair.tar.gz", std::ios::binary) << kArchive;
  EXPECT_EQ(fetch(archive(), folder_, watch_), Fetched::now);
  EXPECT_EQ(names(), (Names{"one.bin", "pair.tar.gz", "two.bin"}));
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(Fetch, an_archive_with_other_contents_is_refused) {
  Publication wrong_sum = archive(), wrong_size = archive(), lacking = archive();
  wrong_sum.contents[1].sha256 = sha256("something else");
  EXPECT_TRUE(contains(error(wrong_sum, ErrorKind::data), {"two.bin has SHA-256 " + sha256(kTwo)}));
  wrong_size.contents[1].bytes += 1;
  EXPECT_TRUE(contains(error(wrong_size, ErrorKind::data), {"two.bin has 20000 bytes, the official file 20001"}));
  lacking.contents.push_back(published("three.bin", "3"));
  EXPECT_TRUE(contains(error(lacking, ErrorKind::data), {"does not hold three.bin"}));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "three.bin"));
}

TEST_F(Fetch, of_two_at_once_one_downloads_and_the_other_waits) {
  speed_ = 100'000;
  Fetched results[2];
  std::thread other([&] { results[0] = fetch(files(), folder_, watch_); });
  results[1] = fetch(files(), folder_, watch_);
  other.join();
  EXPECT_EQ(std::ranges::count(results, Fetched::now), 1);
  EXPECT_EQ(std::ranges::count(results, Fetched::before), 1);
  EXPECT_EQ(server_.requests().size(), 2u) << "each file once";
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_TRUE(contains(told_[0], {"another download is filling it; waiting"}));
}

TEST_F(Fetch, waiting_can_be_stopped) {
  speed_ = 100'000;
  std::thread other([&] { fetch(files(), folder_, watch_); });
  while (server_.requests().empty()) std::this_thread::yield();
  FetchWatch impatient = watch_;
  impatient.going_on = [] { return false; };
  EXPECT_EQ(fetch(files(), folder_, impatient), Fetched::stopped);
  other.join();
}

TEST_F(Fetch, too_little_space_is_told_before_anything_is_downloaded) {
  Publication huge = files();
  huge.downloads.push_back({"huge.bin", int64_t{1} << 60, sha256("")});
  EXPECT_TRUE(contains(error(huge, ErrorKind::io),
                       {folder_.string(), "MB are free, pair needs 1152921504606.9 MB", "free some", "--data DIR"}));
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(Fetch, a_folder_that_cannot_be_made_is_told) {
  temporary_.write("new", {1});
  EXPECT_TRUE(contains(error(files(), ErrorKind::io), {folder_.string(), "cannot be made a folder", "--data DIR"}));
}

// A file system of its own for the rest of this process, which is this test's alone under ctest.
bool mount_small(const std::filesystem::path& folder, unsigned long flags) {
  std::filesystem::create_directories(folder);
  return unshare(CLONE_NEWNS) == 0 && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount("tmpfs", folder.c_str(), "tmpfs", flags, "size=40k") == 0;
}

TEST_F(Fetch, a_folder_that_is_read_only_is_told) {
  if (!mount_small(folder_, MS_RDONLY)) GTEST_SKIP() << "may not mount a file system";
  EXPECT_TRUE(
      contains(error(files(), ErrorKind::io), {folder_.string(), "cannot be written to", "Read-only", "--data DIR"}));
  umount(folder_.c_str());
}

TEST_F(Fetch, a_disk_that_fills_up_meanwhile_is_told_and_the_part_kept) {
  if (!mount_small(folder_, 0)) GTEST_SKIP() << "may not mount a file system";
  const Publication two = files();
  // Space for two.bin alone is there when it begins, but then somebody else takes it.
  Publication one = two;
  one.downloads.erase(one.downloads.begin());
  FetchWatch watch = watch_;
  watch.arrived = [&](const PublishedFile&, int64_t) {
    std::ofstream(folder_ / "else", std::ios::app) << std::string(30'000, 'x');
  };
  speed_ = 200'000;
  const std::string message = error_of([&] { fetch(one, folder_, watch); }, ErrorKind::io);
  EXPECT_TRUE(contains(message, {"two.bin.part: cannot be written: No space left", "free some space and fetch again"}));
  EXPECT_TRUE(message.starts_with(folder_.string())) << "no mirror is to blame: " << message;
  EXPECT_FALSE(std::filesystem::exists(folder_ / "two.bin"));
  EXPECT_TRUE(contains(error(two, ErrorKind::io), {"MB are free, pair needs 0."}));
  std::filesystem::remove(folder_ / "else");
  // What has arrived needs no space any more: the others of the 20,000 bytes have just space enough.
  const auto arrived = std::filesystem::file_size(folder_ / "two.bin.part");
  ASSERT_GT(arrived, 20'000u - 16'384);
  std::ofstream(folder_ / "else") << std::string(std::filesystem::space(folder_).available - 16'384, 'x');
  ASSERT_LT(std::filesystem::space(folder_).available, 20'000u);
  EXPECT_EQ(fetch(one, folder_, watch_), Fetched::now);
  EXPECT_GT(server_.requests().back().first, 0) << "went on from what had arrived";
  umount(folder_.c_str());
}

TEST(published_files, are_complete_and_of_sound_sums) {
  for (const Publication& publication : publication_table()) {
    EXPECT_GE(publication.mirrors.size(), 2u) << publication.name;
    for (const std::string& mirror : publication.mirrors)
      EXPECT_TRUE(mirror.starts_with("http") && mirror.ends_with("/"));
    for (const auto* list : {&publication.downloads, &publication.contents, &publication.other}) {
      for (const PublishedFile& file : *list) {
        EXPECT_EQ(file.sha256.size(), 64u) << file.name;
        EXPECT_EQ(file.sha256.find_first_not_of("0123456789abcdef"), std::string::npos) << file.name;
        EXPECT_GT(file.bytes, 0) << file.name;
        EXPECT_EQ(publication.find(file.name), &file);
      }
    }
  }
  EXPECT_TRUE(contains(error_of([] { find_publication("mnst"); }, ErrorKind::usage), {"did you mean 'mnist'"}));
}

}  // namespace
}  // namespace convoy
