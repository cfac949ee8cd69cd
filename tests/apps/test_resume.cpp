// What `--resume` refuses and falls back on: damaged and missing checkpoints, other settings, other data, full disks.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <random>
#include <regex>

#include "tests/apps/resumed_training.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

// A complete training of 12 steps that has kept a checkpoint of each, and copies of it that were killed.
class Resume : public testing::Test {
 protected:
  void SetUp() override {
    const Outcome outcome = run_convoy(folder_, {"train",
                                                 "--dataset",
                                                 "synthetic",
                                                 "--limit",
                                                 "70",
                                                 "--holdout",
                                                 "50",
                                                 "--epochs",
                                                 "3",
                                                 "--batch",
                                                 "20",
                                                 "--model",
                                                 "conv 4 3x3 stride 2; bn; relu; flatten; linear 10",
                                                 "--log-every",
                                                 "1",
                                                 "--plots",
                                                 "off",
                                                 "--run",
                                                 "complete",
                                                 "--save",
                                                 "w",
                                                 "--checkpoint-every",
                                                 "1",
                                                 "--keep",
                                                 "100"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
    plain_ = outcome_of(folder_, "complete", "w");
  }

  void kill_after(int64_t step) {
    fs::remove_all(folder_ / "run");
    copy_killed_run(folder_ / "complete", folder_ / "run", step);
  }
  Outcome resume(std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"train", "--resume", "run"});
    return run_convoy(folder_, more);
  }
  void expect_resumes(const std::string& warning = "") {
    const Outcome outcome = resume();
    EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
    if (warning.empty()) {
      EXPECT_EQ(outcome.error, "");
    } else {
      EXPECT_EQ(outcome.error.rfind("convoy: warning: " + warning, 0), 0u) << outcome.error;
      EXPECT_EQ(std::ranges::count(outcome.error, '\n'), 1) << outcome.error;
    }
    EXPECT_TRUE(outcome_of(folder_, "run", "w") == plain_);
  }
  // Refused with one line that tells `what`; nothing was changed.
  void expect_refusal(int exit_code, const std::string& what, const std::vector<std::string>& more = {}) {
    SCOPED_TRACE(what);
    const std::string log = read_text(folder_ / "run/metrics.jsonl");
    const std::vector<std::string> files = checkpoints_of(folder_ / "run");
    const Outcome outcome = resume(more);
    EXPECT_EQ(outcome.exit_code, exit_code) << outcome.error;
    const size_t last = outcome.error.rfind("convoy: ");
    EXPECT_NE(outcome.error.find(what, last == std::string::npos ? 0 : last), std::string::npos) << outcome.error;
    EXPECT_EQ(read_text(folder_ / "run/metrics.jsonl"), log);
    EXPECT_EQ(checkpoints_of(folder_ / "run"), files);
  }
  void edit(const fs::path& path, const std::string& from, const std::string& to) {
    std::string text = read_text(path);
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    std::ofstream(path, std::ios::binary) << text;
  }
  // What a shell exits with that runs `script` in the folder; $CONVOY is the command, its stderr goes into the file
  // err.
  int run_script(const std::string& script) {
    const std::string all =
        "cd " + folder_.path().string() + "; CONVOY='" + kConvoy + "'; exec > out 2> err; " + script;
    return WEXITSTATUS(std::system(all.c_str()));
  }

  const TemporaryFolder folder_;
  TrainingOutcome plain_;
};

TEST_F(Resume, falls_back_from_damaged_checkpoints_of_every_kind) {
  const std::string whole = read_text(step_file(folder_ / "complete", 7));
  std::mt19937 draw(1);
  for (int round = 0; round < 12; ++round) {
    kill_after(7);
    std::string bytes = whole;
    const size_t at = draw() % bytes.size();
    if (round % 3 == 0) {
      bytes.resize(at);
    } else {  // one bit; every other time of the header
      const size_t place = round % 3 == 1 ? at : at % 2000;
      bytes[place] = static_cast<char>(bytes[place] ^ 1 << draw() % 8);
    }
    SCOPED_TRACE(fmt::format("round {}, byte {} of {}", round, at, whole.size()));
    std::ofstream(step_file(folder_ / "run", 7), std::ios::binary) << bytes;
    expect_resumes("run/checkpoints/step-00000007.safetensors: ");
  }
}

TEST_F(Resume, a_damaged_checkpoint_does_not_outlive_its_successors) {
  kill_after(7);
  std::ofstream(step_file(folder_ / "run", 20)) << "no checkpoint";
  expect_resumes("run/checkpoints/step-00000020.safetensors: not a safetensors file");
  EXPECT_FALSE(fs::exists(step_file(folder_ / "run", 20)));
  EXPECT_TRUE(fs::exists(step_file(folder_ / "run", 12)));
}

TEST_F(Resume, goes_on_from_the_best_when_nothing_else_is_whole) {
  kill_after(7);
  fs::copy(folder_ / "complete/checkpoints/best.safetensors", folder_ / "run/checkpoints");
  for (int64_t step = 1; step <= 7; ++step) fs::resize_file(step_file(folder_ / "run", step), 100);
  const Outcome outcome = resume();
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_NE(outcome.out.find("resumed  run/checkpoints/best.safetensors"), std::string::npos) << outcome.out;
  EXPECT_TRUE(outcome_of(folder_, "run", "w") == plain_);
}

TEST_F(Resume, without_a_whole_checkpoint_there_is_nothing_to_resume) {
  kill_after(2);
  for (const int64_t step : {1, 2}) fs::resize_file(step_file(folder_ / "run", step), 1000);
  expect_refusal(3, "convoy: run/checkpoints: no checkpoint is whole");
  fs::remove_all(folder_ / "run/checkpoints");
  expect_refusal(3, "convoy: run/checkpoints: no checkpoint is there");
  fs::remove(folder_ / "run/config.json");
  expect_refusal(3, "convoy: run/config.json: cannot be read; is run the folder of a run?");
}

TEST_F(Resume, other_options_are_refused_by_name) {
  kill_after(7);
  for (const char* option : {"--batch=20", "--lr=0.1", "--run=other", "--epochs=4", "--checkpoint-every=3", "--seed=1"})
    expect_refusal(2,
                   fmt::format("convoy: {}: cannot be given with --resume",
                               std::string(option).substr(0, std::string(option).find('='))),
                   {option});
  expect_refusal(2, "--init run begins a new run with its weights", {"--epochs=4"});
  expect_refusal(2, "--data: has no effect with --resume run", {"--data", "."});
}

TEST_F(Resume, an_edited_configuration_is_told_by_its_setting) {
  const auto refuses = [&](const char* from, const char* to, const std::string& what) {
    kill_after(7);
    edit(folder_ / "run/config.json", from, to);
    expect_refusal(3, what);
  };
  refuses("\"batch\": 20", "\"batch\": 10",
          "convoy: run/config.json: 'batch' is 10, but 20 for run/checkpoints/step-00000007.safetensors; ");
  refuses("\"batch\": 20", "\"batch\": \"many\"", "convoy: run/config.json: --batch: 'many' is not a whole number");
  refuses("\"batch\": 20", "\"batch\": [20]", "convoy: run/config.json: --batch: is [20]");
  refuses("\"optimizer\": \"adam\"", "\"optimizer\": \"sgd\"", "'optimizer' is \"sgd\", but \"adam\"");
  refuses("\"ranks\": 1", "\"rank\": 1", "convoy: run/config.json: 'ranks' is missing");
  refuses("{", "", "convoy: run/config.json: is not a JSON object");
}

TEST_F(Resume, a_configuration_of_nonsense_is_refused_with_one_line) {
  kill_after(7);
  const fs::path path = folder_ / "run/config.json";
  const std::string config = read_text(path), deep = std::string(200'000, '[') + std::string(200'000, ']');
  const struct {
    std::string from, to, what;
  } cases[] = {
      {"\"batch\": 20", R"("batch": "1\n2")", "--batch: '1?2' is not a whole number"},
      {"\"batch\": 20", "\"batch\": 1e999", "is not a JSON object"},
      {"\"training_images\": ", "\"training_images\": 1e300, \"was\": ",
       "'training_images' is missing, or no value of its kind"},
      {"\"training_images\": ", "\"training_images\": -1, \"was\": ",
       "'training_images' is missing, or no value of its kind"},
      {"\"ranks\": 1", "\"ranks\": 1, \"notes\": " + deep, "is nested more than 4 deep"},
  };
  for (const auto& [from, to, what] : cases) {
    std::ofstream(path, std::ios::binary) << config;
    edit(path, from, to);
    expect_refusal(3, "convoy: run/config.json: " + what);
  }
}

TEST_F(Resume, other_kernels_are_refused) {
  kill_after(7);
  const std::string kernels = nlohmann::json::parse(read_text(folder_ / "run/config.json")).at("kernels");
  const Outcome outcome = run_convoy(folder_, {"train", "--resume", "run"}, {{"CONVOY_ISA", "portable"}});
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_NE(outcome.error.find("run: was trained by " + kernels + " kernels, here "), std::string::npos)
      << outcome.error;
}

// MNIST as it is in files: `count` blank images and labels.
void write_mnist(const fs::path& folder, const std::string& part, unsigned char count) {
  const auto write = [&](const std::string& name, const std::string& header, size_t bytes) {
    std::ofstream(folder / (part + name), std::ios::binary) << header << std::string(bytes, '\1');
  };
  const std::string zeros(3, '\0'),
      images = std::string(2, '\0') + "\x08\x03" + zeros + static_cast<char>(count) + zeros + '\x1c' + zeros + '\x1c';
  write("-images-idx3-ubyte", images, size_t{count} * 28 * 28);
  write("-labels-idx1-ubyte", std::string(2, '\0') + "\x08\x01" + zeros + static_cast<char>(count), count);
}

class ResumeOnFiles : public Resume {
 protected:
  // A complete run of 4 steps that has kept a checkpoint of each.
  void SetUp() override {
    fs::create_directory(folder_ / "data");
    write_mnist(folder_ / "data", "train", 40);
    write_mnist(folder_ / "data", "t10k", 20);
    const Outcome outcome = run_convoy(
        folder_, {"train", "--data", "data", "--model", "flatten; linear 10", "--epochs", "2", "--batch", "20",
                  "--checkpoint-every", "1", "--keep", "9", "--plots", "off", "--run", "complete", "--save", "w"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
    plain_ = outcome_of(folder_, "complete", "w");
  }
};

TEST_F(ResumeOnFiles, other_numbers_of_images_are_refused) {
  kill_after(3);
  write_mnist(folder_ / "data", "train", 39);
  expect_refusal(3, "convoy: run: was begun with 40 training images of mnist, now there are 39");
  write_mnist(folder_ / "data", "train", 40);
  write_mnist(folder_ / "data", "t10k", 21);
  expect_refusal(3, "convoy: run: was begun with 20 test images of mnist, now there are 21");
}

// Whatever call fails that changes a file of the run: one line tells which file, the last whole checkpoint is there,
// and resuming comes to the same end.
TEST_F(ResumeOnFiles, an_error_of_the_disk_at_any_call_costs_nothing) {
  if (kFailACall[0] == '\0') GTEST_SKIP() << "a sanitizer has to be the first library of a program";
  const fs::path told = folder_ / "told";
  int calls = 0;
  for (;; ++calls) {
    SCOPED_TRACE(calls + 1);
    for (const fs::path& path : {told, folder_ / "w"}) fs::remove(path);
    kill_after(3);
    const Outcome outcome = run_convoy(folder_, {"train", "--resume", "run"},
                                       {{"LD_PRELOAD", kFailACall},
                                        {"FAIL_CALL", std::to_string(calls + 1)},
                                        {"FAIL_TOLD", told.string()},
                                        {"FAIL_BELOW", folder_.path().string() + "/"}});
    if (outcome.exit_code != 0) {
      EXPECT_EQ(outcome.exit_code, 5);
      // After warnings that the data set is small.
      const std::string line = outcome.error.substr(outcome.error.rfind('\n', outcome.error.size() - 2) + 1);
      EXPECT_TRUE(std::regex_match(line, std::regex("convoy: [^ ]*: cannot be written: Input/output error\n"))) << line;
      EXPECT_EQ(resume().exit_code, 0);
    }
    EXPECT_TRUE(outcome_of(folder_, "run", "w") == plain_);
    if (!fs::exists(told)) break;  // there are no more calls
  }
  EXPECT_GT(calls, 20);
}

TEST_F(Resume, a_log_that_lacks_lines_is_refused) {
  kill_after(7);
  fs::resize_file(folder_ / "run/metrics.jsonl", 100);
  expect_refusal(3, "run/metrics.jsonl: has 100 bytes, at the checkpoint it had ");
}

TEST_F(Resume, a_run_that_still_trains_is_left_alone) {
  Process process(folder_, small_training({"--epochs", "100000", "--run", "run", "--checkpoint-every", "1"}));
  wait_for("a checkpoint", [&] { return !checkpoints_of(folder_ / "run").empty(); });
  const TemporaryFolder elsewhere;  // its own files for output
  const Outcome outcome = run_convoy(elsewhere, {"train", "--resume", (folder_ / "run").string()});
  EXPECT_EQ(outcome.exit_code, 5);
  EXPECT_NE(outcome.error.find("another process is training this run"), std::string::npos) << outcome.error;
  process.send(SIGTERM);
  EXPECT_EQ(process.wait().exit_code, 143);
}

TEST_F(Resume, unfinished_files_of_a_killed_writer_are_removed) {
  kill_after(7);
  std::ofstream(folder_ / "run/checkpoints/step-00000008.safetensors.123-0.tmp") << "half";
  expect_resumes();
  EXPECT_FALSE(fs::exists(folder_ / "run/checkpoints/step-00000008.safetensors.123-0.tmp"));
}

TEST_F(Resume, goes_on_after_a_limit_on_the_size_of_files) {
  kill_after(7);
  const auto size = fs::file_size(step_file(folder_ / "run", 7));
  // As a shell counts, in 512 or 1,024 bytes: less than a checkpoint, more than the log.
  EXPECT_EQ(run_script(fmt::format("trap '' XFSZ; ulimit -f {}; \"$CONVOY\" train --resume run", size / 1024 - 1)), 5);
  EXPECT_EQ(read_text(folder_ / "err").find("convoy: run/checkpoints/step-00000008.safetensors: cannot be written: "),
            0u)
      << read_text(folder_ / "err");
  EXPECT_EQ(checkpoints_of(folder_ / "run").size(), 7u);
  expect_resumes();
}

// A small file system of its own, where the system lets us have one.
class SmallDisk : public Resume {
 protected:
  void SetUp() override {
    Resume::SetUp();
    fs::create_directory(folder_ / "disk");
    mounted_ = mount("none", (folder_ / "disk").c_str(), "tmpfs", 0, "size=2m") == 0;
    if (!mounted_) GTEST_SKIP() << "mounting is not permitted here";
  }
  void TearDown() override {
    if (mounted_) umount2((folder_ / "disk").c_str(), MNT_DETACH);
  }
  // A killed run on it that is reached as `run`.
  void put_on_disk(int64_t step) {
    copy_killed_run(folder_ / "complete", folder_ / "disk/run", step);
    for (int64_t other = 1; other < step; ++other) fs::remove(step_file(folder_ / "disk/run", other));
    fs::remove_all(folder_ / "run");
    fs::create_symlink("disk/run", folder_ / "run");
  }
  bool mounted_ = false;
};

TEST_F(SmallDisk, a_full_disk_costs_no_checkpoint) {
  put_on_disk(7);
  std::ofstream filler(folder_ / "disk/filler", std::ios::binary);
  const auto space = fs::space(folder_ / "disk").available;
  filler << std::string(space - fs::file_size(step_file(folder_ / "run", 7)) / 2, 'x') << std::flush;
  const Outcome outcome = resume();
  EXPECT_EQ(outcome.exit_code, 5);
  EXPECT_EQ(outcome.error,
            "convoy: run/checkpoints/step-00000008.safetensors: cannot be written: No space left on device\n");
  EXPECT_EQ(checkpoints_of(folder_ / "run"), std::vector<std::string>{"step-00000007.safetensors"});
  filler.close();
  fs::remove(folder_ / "disk/filler");
  expect_resumes();
}

TEST_F(SmallDisk, a_read_only_folder_is_told_at_once) {
  put_on_disk(7);
  ASSERT_EQ(mount("none", (folder_ / "disk").c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
  expect_refusal(5, "convoy: run/metrics.jsonl: cannot be written: Read-only file system");
}

}  // namespace
}  // namespace convoy
