// Output into a pipe that nobody reads any more.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>

#include "tests/apps/run_convoy.h"
#include "tests/apps/with_mpi.h"

namespace convoy {
namespace {

struct PipedOutcome {
  int exit_code;
  std::string error;
};

// `arguments` of the command in a shell, which reads nothing of what goes into the pipe; `pipe` is "|" or, for stderr
// too, "2>&1 |".
PipedOutcome run_without_reader(const TemporaryFolder& folder, const std::string& arguments, const std::string& pipe) {
  signal(SIGPIPE, SIG_DFL);  // in programs started from here, too, where whoever started these tests ignores it
  // The pause lets the reader go first.
  const std::string script = fmt::format("cd {}; ({{ sleep 0.2; '{}' {}; echo $? > code; }} {} true) 2> error",
                                         folder.path().string(), kConvoy, arguments, pipe);
  EXPECT_EQ(std::system(script.c_str()), 0);
  return {std::atoi(read_text(folder / "code").c_str()), read_text(folder / "error")};
}

const std::string kTraining =
    "train --dataset synthetic --model 'flatten; linear 10' --limit 200 --holdout 100 --epochs 2 --plots off --run run "
    "--save w";

TEST(broken_pipe, a_training_whose_output_nobody_reads_goes_on_to_its_end) {
  const TemporaryFolder folder;
  const PipedOutcome outcome = run_without_reader(folder, kTraining, "|");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.error, "convoy: nobody reads standard output any more; going on without it\n");
  EXPECT_EQ(read_events(folder / "run", "epoch").size(), 2u);
  EXPECT_EQ(read_events(folder / "run", "summary").size(), 1u);
  EXPECT_TRUE(std::filesystem::exists(folder / "w"));
}

TEST(broken_pipe, nor_does_it_need_a_reader_of_its_errors) {
  const TemporaryFolder folder;
  EXPECT_EQ(run_without_reader(folder, kTraining, "2>&1 |").exit_code, 0);
  EXPECT_EQ(read_events(folder / "run", "summary").size(), 1u);
}

TEST(broken_pipe, a_training_in_processes_goes_on_too) {
  if (!with_mpi()) GTEST_SKIP() << kWithoutMpi;
  const TemporaryFolder folder;
  const PipedOutcome outcome = run_without_reader(folder, kTraining + " --strategy ddp --ranks 2", "2>&1 |");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(read_events(folder / "run", "summary").size(), 1u);
}

TEST(broken_pipe, a_short_command_ends_quietly_as_those_of_unix_do) {
  const TemporaryFolder folder;
  const PipedOutcome outcome = run_without_reader(folder, "info", "|");
  EXPECT_EQ(outcome.exit_code, 141);
  EXPECT_EQ(outcome.error, "");
}

}  // namespace
}  // namespace convoy
