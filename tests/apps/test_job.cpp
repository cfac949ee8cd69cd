// A job of several ranks ends as a whole: one line that says why, a code that is not 0, and nothing left running.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include <fstream>
#include <regex>

#include "tests/apps/run_convoy.h"
#include "tests/apps/with_mpi.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

std::string file_of(pid_t process, const char* name) {
  return read_text(fs::path("/proc") / std::to_string(process) / name);
}

// The processes that work in `folder`.
std::vector<pid_t> processes_in(const TemporaryFolder& folder) {
  std::vector<pid_t> found;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (!std::ranges::all_of(name, [](unsigned char letter) { return std::isdigit(letter); })) continue;
    std::error_code gone;
    if (fs::read_symlink(entry.path() / "cwd", gone) == fs::canonical(folder.path()) && !gone)
      found.push_back(std::stoi(name));
  }
  return found;
}

// The process of a rank, or -1.
pid_t process_of_rank(const TemporaryFolder& folder, int rank) {
  const std::string wanted = "OMPI_COMM_WORLD_RANK=" + std::to_string(rank);
  for (const pid_t process : processes_in(folder)) {
    const std::string environment = '\0' + file_of(process, "environ");
    if (environment.find('\0' + wanted + '\0') != std::string::npos) return process;
  }
  return -1;
}

// A job of two ranks that goes on until it is stopped.
class JobRanks : public testing::Test {
 protected:
  void SetUp() override {
    if (!with_mpi()) GTEST_SKIP() << kWithoutMpi;
  }

  void start() {
    job_ = std::make_unique<Process>(folder_, small_training({"--strategy", "ddp", "--ranks", "2", "--epochs", "100000",
                                                              "--run", "run", "--save", "weights.safetensors"}));
    // Rank 0 alone logs its steps; its second needs gradients that the others compute after having noted their first.
    wait_for("two steps", [&] { return std::ranges::count(step_lines(folder_ / "run"), '\n') >= 2; });
  }

  Outcome end() {
    const Outcome outcome = job_->wait();
    wait_for("an end of all processes", [&] { return processes_in(folder_).empty(); });
    return outcome;
  }

  TemporaryFolder folder_;
  std::unique_ptr<Process> job_;
};

TEST_F(JobRanks, a_killed_rank_ends_the_job_and_is_named) {
  for (const int rank : {0, 1}) {
    for (const auto& [signal, name] : {std::pair{SIGKILL, "9 (Killed)"}, std::pair{SIGTERM, "15 (Terminated)"}}) {
      fs::remove_all(folder_ / "run");
      start();
      kill(process_of_rank(folder_, rank), signal);
      const Outcome outcome = end();
      EXPECT_EQ(outcome.exit_code, 7);
      char host[256] = {};
      gethostname(host, sizeof host - 1);
      const std::string start =
          "convoy: rank " + std::to_string(rank) + " on " + host + " was killed by signal " + name + " after step ";
      EXPECT_TRUE(outcome.error.starts_with(start)) << outcome.error;
      EXPECT_TRUE(outcome.error.ends_with("; all other ranks were ended\n")) << outcome.error;
      EXPECT_EQ(std::ranges::count(outcome.error, '\n'), 1) << outcome.error;
    }
  }
}

TEST_F(JobRanks, a_stopped_rank_ends_the_job_and_is_named) {
  start();
  kill(process_of_rank(folder_, 1), SIGSTOP);
  const Outcome outcome = end();
  EXPECT_EQ(outcome.exit_code, 7);
  EXPECT_TRUE(std::regex_match(
      outcome.error, std::regex("convoy: rank 1 on \\S+ has shown no sign of life for 6 s \\(is it stopped\\?\\) "
                                "after step \\d+; all other ranks were ended\n")))
      << outcome.error;
}

// It draws after the last step, when the others have nothing left to do but to show signs of life.
TEST_F(JobRanks, others_live_on_while_rank_0_draws_for_longer_than_their_silence_is_borne) {
  fs::create_directory(folder_ / "bin");
  const fs::path slow = folder_ / "bin/gnuplot";
  std::ofstream(slow) << fmt::format("#!/bin/sh\n[ -e '{0}' ] || {{ : > '{0}'; sleep 8; }}\n",
                                     (folder_ / "slept").string());
  fs::permissions(slow, fs::perms::owner_all);
  const std::string path = (folder_ / "bin").string() + ":" + std::getenv("PATH");
  const Outcome outcome = run_convoy(folder_,
                                     {"train", "--dataset", "synthetic", "--limit", "40", "--holdout", "20", "--run",
                                      "run", "--strategy", "ddp", "--ranks", "2"},
                                     {{"PATH", path}});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_TRUE(fs::exists(folder_ / "slept"));
  EXPECT_EQ(outcome.error.find("sign of life"), std::string::npos) << outcome.error;
}

TEST_F(JobRanks, first_interrupt_stops_all_ranks_after_the_same_step) {
  start();
  job_->send(SIGINT);
  const Outcome outcome = end();
  EXPECT_EQ(outcome.exit_code, 130);
  EXPECT_EQ(outcome.error, "stopping after this step; Ctrl-C again stops now\n");
  EXPECT_EQ(read_events(folder_ / "run").back().at("event"), "interrupted");
  EXPECT_TRUE(fs::exists(folder_ / "weights.safetensors"));
}

// Wherever in its start the job is.
TEST_F(JobRanks, an_early_interrupt_ends_the_job) {
  for (int i = 1; i <= 8; ++i) {
    job_ = std::make_unique<Process>(
        folder_, small_training({"--strategy", "ddp", "--ranks", "2", "--epochs", "100000", "--save", "weights"}));
    std::this_thread::sleep_for(std::chrono::milliseconds(60 * i));
    job_->send(SIGINT);
    const Outcome outcome = end();
    EXPECT_EQ(outcome.exit_code, 130);
    const bool told = fs::exists(folder_ / "weights") ||
                      outcome.error.find("interrupted before") != std::string::npos ||
                      outcome.error.empty();  // before the launcher was ready for it
    EXPECT_TRUE(told) << outcome.error;
    fs::remove(folder_ / "weights");
  }
}

TEST_F(JobRanks, a_killed_mpirun_is_not_taken_for_a_rank) {
  start();
  std::ifstream children(fmt::format("/proc/{0}/task/{0}/children", job_->id()));
  pid_t mpirun = -1;
  children >> mpirun;
  kill(mpirun, SIGKILL);
  const Outcome outcome = end();
  EXPECT_EQ(outcome.exit_code, 7);
  EXPECT_EQ(outcome.error, "convoy: mpirun was killed by signal 9 (Killed); all ranks were ended\n");
}

TEST_F(JobRanks, a_killed_launcher_takes_its_ranks_with_it) {
  start();
  job_->send(SIGKILL);
  EXPECT_EQ(end().exit_code, 128 + SIGKILL);
}

TEST_F(JobRanks, an_error_of_all_ranks_is_told_once_with_its_own_code) {
  const Outcome outcome =
      run_convoy(folder_, small_training({"--strategy", "ddp", "--ranks", "2", "--lr", "1e30", "--run", "run"}));
  EXPECT_EQ(outcome.exit_code, 4);
  EXPECT_TRUE(outcome.error.starts_with("convoy: step ")) << outcome.error;
  EXPECT_EQ(std::ranges::count(outcome.error, '\n'), 1) << outcome.error;
  EXPECT_EQ(read_events(folder_ / "run").back().at("event"), "failed");
}

TEST_F(JobRanks, ranks_that_were_started_differently_are_told_apart) {
  // As a user would start the ranks by hand: this shell script is started once for each.
  const fs::path script = folder_ / "rank.sh";
  std::ofstream(script)
      << "#!/bin/sh\nexec \"$1\" train --dataset synthetic --limit 200 --holdout 100 --epochs 1 --strategy ddp "
         "--seed \"$OMPI_COMM_WORLD_RANK\"\n";
  fs::permissions(script, fs::perms::owner_all);
  const std::string command =
      "cd '" + folder_.path().string() +
      "' && OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun -q --oversubscribe -n 2 "
      "./rank.sh '" +
      std::string(kConvoy) + "' >out 2>error </dev/null";
  const int status = std::system(command.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 7);
  EXPECT_TRUE(std::regex_match(
      read_text(folder_ / "error"),
      std::regex("convoy: rank 1 on \\S+ has --seed 1, rank 0 on \\S+ has 0; start all ranks alike\n")))
      << read_text(folder_ / "error");
}

}  // namespace
}  // namespace convoy
