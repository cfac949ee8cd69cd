// `convoy train --dry-run`: tells what a training would take, and leaves nothing behind.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <regex>

#include "tests/apps/resumed_training.h"
#include "tests/apps/with_mpi.h"

namespace convoy {
namespace {

using Arguments = std::vector<std::string>;

Outcome dry_run(const TemporaryFolder& folder, const Arguments& more) {
  Arguments arguments = small_training(
      {"--dry-run", "--model", "conv 8 3x3; bn; relu; flatten; linear 10", "--batch", "20", "--epochs", "3"});
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_convoy(folder, arguments);
}

// The number in front of `unit` in the first line that begins with `line`.
double number_in(const std::string& out, const std::string& line, const std::string& unit) {
  std::smatch found;
  const std::regex pattern("(^|\n)" + line + "[^\n]*?([0-9.]+) " + unit);
  if (!std::regex_search(out, found, pattern)) {
    ADD_FAILURE() << "no number of " << unit << " behind " << line << ":\n" << out;
    return -1;
  }
  return std::stod(found[2].str());
}

TEST(dry_run, tells_parameters_memory_time_and_files_and_writes_nothing) {
  const TemporaryFolder folder;
  const Outcome outcome = dry_run(folder, {"--run", "r", "--save", "w.safetensors"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_EQ(outcome.error, "");
  EXPECT_TRUE(folder.names().empty()) << folder.names().front();
  const std::string& out = outcome.out;
  EXPECT_NE(out.find(" parameters, "), std::string::npos) << out;
  EXPECT_GT(number_in(out, "memory   tensors", "MiB"), 0.1);
  EXPECT_GT(number_in(out, "time    ", "ms per step"), 0.01);
  EXPECT_NE(out.find("per step, over 4 steps after the first 2\n"), std::string::npos) << out;
  EXPECT_NE(out.find(" per epoch of 10 steps and "), std::string::npos) << out;
  EXPECT_NE(out.find(" in all: 30 steps in 3 epochs\n"), std::string::npos) << out;
  EXPECT_NE(
      out.find("files    r/config.json, metrics.jsonl and its copies: metrics.csv, steps.csv, events.out.tfevents…\n"),
      std::string::npos)
      << out;
  EXPECT_NE(out.find("         r/checkpoints: the newest 1 and the best, "), std::string::npos) << out;
  EXPECT_NE(out.find("         w.safetensors, "), std::string::npos) << out;
  EXPECT_NE(out.find("dry run: nothing was written\n"), std::string::npos) << out;
  EXPECT_EQ(out.find("epoch 1/"), std::string::npos) << out;
}

TEST(dry_run, sizes_of_files_are_those_that_a_training_writes) {
  for (const Arguments& more : std::vector<Arguments>{
           {}, {"--ema", "0.9"}, {"--ema", "0.9", "--patience", "2"}, {"--optimizer", "sgd", "--momentum", "0"}}) {
    SCOPED_TRACE(nlohmann::json(more).dump());
    const TemporaryFolder folder;
    Arguments arguments = more;
    arguments.insert(arguments.end(), {"--run", "r", "--save", "w"});
    const Outcome told = dry_run(folder, arguments);
    ASSERT_EQ(told.exit_code, 0) << told.error;
    arguments.insert(arguments.begin(),
                     {"--model", "conv 8 3x3; bn; relu; flatten; linear 10", "--batch", "20", "--epochs", "1"});
    ASSERT_EQ(run_convoy(folder, small_training(arguments)).exit_code, 0);
    const auto mebibytes = [&](const std::filesystem::path& path) {
      return static_cast<double>(std::filesystem::file_size(path)) / (1 << 20);
    };
    // Up to the header, and the rounding to a tenth.
    EXPECT_NEAR(number_in(told.out, "         r/checkpoints", "MiB"), mebibytes(step_file(folder / "r", 10)), 0.06);
    EXPECT_NEAR(number_in(told.out, "         w", "MiB"), mebibytes(folder / "w"), 0.06);
  }
}

TEST(dry_run, finds_what_a_training_would_find) {
  const TemporaryFolder folder;
  EXPECT_EQ(dry_run(folder, {"--save", "no/such/folder/w"}).exit_code, 5);
  EXPECT_EQ(dry_run(folder, {"--lr", "1e30", "--optimizer", "sgd"}).exit_code, 4);
  EXPECT_EQ(dry_run(folder, {"--schedule", "cosine", "--warmup-steps", "30"}).exit_code, 2);
  EXPECT_EQ(run_convoy(folder, {"train", "--dry-run", "--resume", "r"}).exit_code, 2);
  EXPECT_TRUE(folder.names().empty()) << folder.names().front();
}

TEST(dry_run, tries_trainings_shorter_than_its_measurement_and_replicas) {
  const TemporaryFolder folder;
  const Outcome short_one = dry_run(folder, {"--steps", "1"});
  ASSERT_EQ(short_one.exit_code, 0) << short_one.error;
  EXPECT_NE(short_one.out.find(" per step, over 1 step\n"), std::string::npos) << short_one.out;
  EXPECT_NE(short_one.out.find(" in all: 1 step in 1 epoch\n"), std::string::npos) << short_one.out;
  const Outcome replicas = dry_run(folder, {"--strategy", "replicated", "--replicas", "2"});
  EXPECT_EQ(replicas.exit_code, 0) << replicas.error;
  EXPECT_NE(replicas.out.find("dry run: nothing was written\n"), std::string::npos) << replicas.out;
  EXPECT_TRUE(folder.names().empty()) << folder.names().front();
}

TEST(DryRunRanks, ranks_try_together_and_one_tells) {
  if (!with_mpi()) GTEST_SKIP() << kWithoutMpi;
  const TemporaryFolder folder;
  const Outcome outcome = dry_run(folder, {"--strategy", "ddp", "--ranks", "2"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  const size_t first = outcome.out.find("dry run: nothing was written\n");
  EXPECT_NE(first, std::string::npos) << outcome.out;
  EXPECT_EQ(outcome.out.find("dry run: nothing was written\n", first + 1), std::string::npos) << outcome.out;
  EXPECT_TRUE(folder.names().empty()) << folder.names().front();
}

}  // namespace
}  // namespace convoy
