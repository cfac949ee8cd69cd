// data fetch and data verify as a user runs them. Downloads come from a server on this machine that has the official
// MNIST; tests that need its files skip where $CONVOY_DATA does not name them.
#include <gtest/gtest.h>

#include <fstream>

#include "data/dataset.h"
#include "data/download.h"
#include "data/published_files.h"
#include "tests/apps/run_convoy.h"
#include "tests/data/http_server.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using Reply = HttpServer::Reply;

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

void write(const fs::path& path, const std::string& bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

// Serves the files of a folder.
class DataCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    official_ = find_dataset_row("mnist").find({});
    for (const PublishedFile& file : find_publication("mnist").downloads) {
      if (!is_published(official_ / file.name, file)) GTEST_SKIP() << "no official MNIST; CONVOY_DATA names its folder";
    }
  }

  void needs_downloads() {
    if (!download::built()) GTEST_SKIP() << download::library();
  }

  std::vector<std::string> fetch() const {
    return {"data", "fetch", "mnist", "--mirror", server_.url(), "--data", "here"};
  }

  Outcome run(const std::vector<std::string>& arguments) const {
    return run_convoy(folder_, arguments, {{"no_proxy", "127.0.0.1"}});
  }

  // A copy of the official files.
  void copy_official() const {
    for (const PublishedFile& file : find_publication("mnist").downloads)
      write(folder_ / "here" / "mnist" / file.name, read_text(official_ / file.name));
  }

  fs::path official_;
  std::atomic<int64_t> speed_ = 0;
  const HttpServer server_{[this](const HttpServer::Request& request) {
    const std::string bytes = read_text(official_.string() + request.path);
    if (bytes.empty()) return Reply{.status = 404};
    Reply reply = whole_file(request, bytes);
    reply.bytes_per_second = speed_;
    return reply;
  }};
  const TemporaryFolder folder_;
};

TEST_F(DataCommand, fetch_brings_the_official_files_once) {
  needs_downloads();
  const Outcome first = run(fetch());
  ASSERT_EQ(first.exit_code, 0) << first.error;
  EXPECT_EQ(first.out, "mnist: downloaded, official, in here/mnist\n");
  EXPECT_EQ(first.error, "");
  for (const PublishedFile& file : find_publication("mnist").downloads)
    EXPECT_TRUE(is_published(folder_ / "here" / "mnist" / file.name, file));
  const Outcome second = run(fetch());
  EXPECT_EQ(second.out, "mnist: is here already, official, in here/mnist\n");
  EXPECT_EQ(server_.requests().size(), 4u);

  const Outcome verified = run({"data", "verify", "--data", "here"});
  EXPECT_EQ(verified.exit_code, 0);
  EXPECT_TRUE(has(verified.out, "here/mnist/t10k-labels-idx1-ubyte.gz: official\n")) << verified.out;
  EXPECT_TRUE(has(run({"data", "list", "--data", "here"}).out, "where: here/mnist, official\n"));
}

TEST_F(DataCommand, an_interrupted_fetch_goes_on_next_time) {
  needs_downloads();
  speed_ = 4'000'000;
  Process process(folder_, fetch(), {{"no_proxy", "127.0.0.1"}});
  const fs::path part = folder_ / "here" / "mnist" / "train-images-idx3-ubyte.gz.part";
  wait_for("a million bytes", [&] { return fs::exists(part) && fs::file_size(part) > 1'000'000; });
  process.send(SIGINT);
  const Outcome stopped = process.wait();
  EXPECT_EQ(stopped.exit_code, 130);
  EXPECT_EQ(stopped.error, "stopping; Ctrl-C again stops now\n");
  EXPECT_EQ(stopped.out, "stopped; `convoy data fetch mnist` goes on from what has arrived in here/mnist\n");
  const auto kept = static_cast<int64_t>(fs::file_size(part));
  ASSERT_GT(kept, 1'000'000);

  speed_ = 0;
  EXPECT_EQ(run(fetch()).exit_code, 0);
  EXPECT_EQ(server_.requests().at(1).first, kept);
  EXPECT_FALSE(fs::exists(part));
}

TEST_F(DataCommand, a_killed_fetch_goes_on_next_time) {
  needs_downloads();
  speed_ = 4'000'000;
  {
    Process process(folder_, fetch(), {{"no_proxy", "127.0.0.1"}});
    const fs::path part = folder_ / "here" / "mnist" / "train-images-idx3-ubyte.gz.part";
    wait_for("a million bytes", [&] { return fs::exists(part) && fs::file_size(part) > 1'000'000; });
    process.send(SIGKILL);
    EXPECT_EQ(process.wait().exit_code, 128 + SIGKILL);
  }
  speed_ = 0;
  EXPECT_EQ(run(fetch()).exit_code, 0);
  EXPECT_GT(server_.requests().at(1).first, 1'000'000);
}

TEST_F(DataCommand, of_two_fetches_at_once_the_second_waits) {
  needs_downloads();
  speed_ = 8'000'000;
  Process first(folder_, fetch(), {{"no_proxy", "127.0.0.1"}});
  wait_for("the first download", [&] { return !server_.requests().empty(); });
  // Working in a folder of its own, but downloading to the same one.
  const TemporaryFolder other;
  std::vector<std::string> arguments = fetch();
  arguments.back() = (folder_ / "here").string();
  const Outcome second = run_convoy(other, arguments, {{"no_proxy", "127.0.0.1"}});
  EXPECT_EQ(second.exit_code, 0) << second.error;
  EXPECT_TRUE(has(second.out, "another download is filling it; waiting for that\n")) << second.out;
  EXPECT_TRUE(has(second.out, "mnist: is here already")) << second.out;
  EXPECT_EQ(first.wait().exit_code, 0);
  EXPECT_EQ(server_.requests().size(), 4u);
}

TEST_F(DataCommand, a_mirror_without_the_files_is_one_line) {
  needs_downloads();
  std::vector<std::string> arguments = fetch();
  arguments[4] += "elsewhere/";
  const Outcome outcome = run(arguments);
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_EQ(outcome.error, "convoy: train-images-idx3-ubyte.gz could not be downloaded: " + arguments[4] +
                               "train-images-idx3-ubyte.gz: the server answers with status 404, not found. Try again "
                               "later, or name another mirror with --mirror URL\n");
}

TEST_F(DataCommand, verify_tells_official_other_and_damaged_files_apart) {
  copy_official();
  const fs::path labels = folder_ / "here" / "mnist" / "t10k-labels-idx1-ubyte.gz";
  const std::string bytes = read_text(labels);
  const auto verify = [&] { return run({"data", "verify", "mnist", "--data", "here"}); };
  EXPECT_EQ(verify().exit_code, 0);

  std::string flipped = bytes;
  flipped[2000] ^= 1;
  for (const std::string& damaged : {flipped, bytes.substr(0, 1000), std::string()}) {
    write(labels, damaged);
    const Outcome outcome = verify();
    EXPECT_EQ(outcome.exit_code, 3);
    EXPECT_TRUE(has(outcome.out, "train-images-idx3-ubyte.gz: official\n")) << outcome.out;
    EXPECT_TRUE(has(outcome.out, "t10k-labels-idx1-ubyte.gz: ")) << outcome.out;
    EXPECT_EQ(outcome.error,
              "convoy: data verify: 1 file damaged or missing; `convoy data fetch mnist` downloads what is needed\n");
  }
  fs::remove(labels);
  const Outcome missing = verify();
  EXPECT_EQ(missing.exit_code, 3);
  EXPECT_TRUE(has(missing.out, "missing, as is its .gz; `convoy data fetch mnist` downloads it")) << missing.out;

  // Labels of the first 1,000 images alone are sound, but do not fit the images.
  write(labels, std::string("\0\0\10\1\0\0\3\350", 8) + std::string(1000, '\1'));
  const Outcome short_file = verify();
  EXPECT_EQ(short_file.exit_code, 3);
  EXPECT_TRUE(has(short_file.out, "not official: 1000 labels")) << short_file.out;
  EXPECT_TRUE(has(short_file.out, "1000 labels for the 10000 images")) << short_file.out;

  // So fetch brings only that one, and keeps the other.
  if (!download::built()) return;
  const Outcome fetched = run(fetch());
  EXPECT_EQ(fetched.exit_code, 0) << fetched.error;
  EXPECT_TRUE(has(fetched.out, "is not the official file; kept as t10k-labels-idx1-ubyte.gz.old")) << fetched.out;
  EXPECT_EQ(server_.requests().size(), 1u);
  EXPECT_EQ(verify().exit_code, 0);
}

TEST_F(DataCommand, fetch_says_when_something_else_is_read_first) {
  needs_downloads();
  copy_official();
  write(folder_ / "here" / "mnist" / "t10k-labels-idx1-ubyte", "not IDX");
  const Outcome outcome = run(fetch());
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_TRUE(has(outcome.out, "but this is read first: here/mnist/t10k-labels-idx1-ubyte: ")) << outcome.out;
}

TEST_F(DataCommand, folders_that_cannot_be_written_to_are_told) {
  needs_downloads();
  write(folder_ / "here", "a file");
  const Outcome outcome = run(fetch());
  EXPECT_EQ(outcome.exit_code, 5);
  EXPECT_TRUE(has(outcome.error, "convoy: here/mnist: cannot be made a folder")) << outcome.error;
}

TEST(data_commands, mistakes_are_told) {
  const TemporaryFolder folder;
  for (const auto& [arguments, told] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"fetch"}, "data fetch: which data set? One of: mnist, cifar10, fashion-mnist"},
           {{"fetch", "mnst"}, "did you mean 'mnist'?"},
           {{"fetch", "MNIST"}, "did you mean 'mnist'?"},
           {{"fetch", "synthetic"}, "drawn by code"},
           {{"fetch", "mnist", "cifar10"}, "unknown argument 'cifar10'"},
           {{"fetch", "mnist", "--mirror", "ftp://host/"}, "--mirror: 'ftp://host/' is not the URL of a folder"},
           {{"fetch", "mnist", "--mirror", "http://host"}, "with a slash at its end"},
           {{"verify", "synthetic"}, "drawn by code"},
           {{"verify", "mnst"}, "did you mean 'mnist'?"}}) {
    std::vector<std::string> all{"data"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const Outcome outcome = run_convoy(folder, all);
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_TRUE(has(outcome.error, told)) << outcome.error;
  }
}

TEST(data_commands, what_is_not_here_is_told_with_the_cure) {
  const TemporaryFolder folder;
  const Outcome named = run_convoy(folder, {"data", "verify", "cifar10"});
  EXPECT_EQ(named.exit_code, 3);
  EXPECT_TRUE(has(named.error, "`convoy data fetch cifar10` downloads it")) << named.error;
  const Outcome all = run_convoy(folder, {"data", "verify"});
  EXPECT_EQ(all.exit_code, 0);
  EXPECT_EQ(all.out, "no data set is here; `convoy data fetch mnist` downloads one\n");
  const Outcome training = run_convoy(folder, {"train", "--steps", "1", "--limit", "64", "--run", "run"});
  EXPECT_EQ(training.exit_code, 0) << training.error;
  EXPECT_TRUE(has(training.out, "`convoy data fetch mnist`")) << training.out;
  const Outcome fashion = run_convoy(folder, {"train", "--dataset", "fashion-mnist"});
  EXPECT_EQ(fashion.exit_code, 3);
  EXPECT_TRUE(has(fashion.error, "`convoy data fetch fashion-mnist` downloads it")) << fashion.error;
}

}  // namespace
}  // namespace convoy
