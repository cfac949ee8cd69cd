// Jobs whose processes were each started with RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, in builds with MPI and
// without: they train as one process does, and end as a whole, each with one line that says why.
#include <algorithm>
#include <functional>
#include <regex>

#include "parallel/socket.h"
#include "tests/apps/run_convoy.h"

namespace convoy {
namespace {

using Arguments = std::vector<std::string>;
using Variables = std::map<std::string, std::string>;
using Clock = std::chrono::steady_clock;

const char* const kModel = "conv 8 3x3 pad 1; bn; relu; maxpool 2; dropout 0.3; flatten; linear 10";

const Arguments kTree{"--reduce", "tree", "--shards", "4"};

Arguments training(const Arguments& more, const Arguments& reduce = kTree) {
  Arguments arguments = small_training({"--model", kModel, "--run", "run", "--save", "weights"});
  for (const Arguments* each : {&more, &reduce}) arguments.insert(arguments.end(), each->begin(), each->end());
  return arguments;
}

int free_port() { return tcp::port_of(tcp::listen_on(0)); }

// Ranks that each have a folder of their own, as on hosts of their own.
class TcpJob : public testing::Test {
 protected:
  void start(int ranks, const Arguments& arguments, const std::function<Arguments(int rank)>& own = nullptr,
             const Variables& more = {}, const Arguments& reduce = kTree) {
    folders_ = std::vector<TemporaryFolder>(static_cast<size_t>(ranks));
    const auto all = [&](int rank) {
      Arguments of_rank = training(arguments, reduce);
      if (own != nullptr) std::ranges::copy(own(rank), std::back_inserter(of_rank));
      return of_rank;
    };
    start_in_folders(all, more);
  }

  void start_in_folders(const std::function<Arguments(int rank)>& arguments, const Variables& more = {}) {
    const std::string port = std::to_string(free_port());
    const int ranks = static_cast<int>(folders_.size());
    for (int rank = 0; rank < ranks; ++rank) {
      Variables variables{{"RANK", std::to_string(rank)},
                          {"WORLD_SIZE", std::to_string(ranks)},
                          {"MASTER_ADDR", "localhost"},
                          {"MASTER_PORT", port}};
      for (const auto& [name, value] : more) variables[name] = value;
      processes_.push_back(std::make_unique<Process>(folder(rank), arguments(rank), variables));
    }
  }

  void start_endless(int ranks) {
    start(ranks, {"--strategy", "ddp", "--epochs", "100000"});
    wait_for("a step", [&] { return !step_lines(folder(0) / "run").empty(); });
  }

  const TemporaryFolder& folder(int rank) { return folders_[static_cast<size_t>(rank)]; }
  Outcome end(int rank) { return processes_[static_cast<size_t>(rank)]->wait(); }
  void send(int rank, int signal) { processes_[static_cast<size_t>(rank)]->send(signal); }

  // Ends with 7, and a line that says this.
  void expect_told(int rank, const std::string& told) {
    const Outcome outcome = end(rank);
    EXPECT_EQ(outcome.exit_code, 7);
    EXPECT_TRUE(std::regex_match(outcome.error, std::regex("convoy: " + told + "\n"))) << outcome.error;
  }

  std::vector<TemporaryFolder> folders_;
  std::vector<std::unique_ptr<Process>> processes_;
};

TEST_F(TcpJob, trains_to_the_bits_of_one_process) {
  const TemporaryFolder serial;
  EXPECT_EQ(run_convoy(serial, training({"--epochs", "2"})).exit_code, 0);
  const auto expect_equal = [&](int ranks) {
    for (int rank = 0; rank < ranks; ++rank) {
      const Outcome outcome = end(rank);
      EXPECT_EQ(outcome.exit_code, 0);
      EXPECT_EQ(outcome.error, "");
      EXPECT_EQ(folder(rank).names().empty(), rank != 0);
    }
    EXPECT_TRUE(read_text(folder(0) / "weights") == read_text(serial / "weights"));
    const auto losses = [](const TemporaryFolder& of) {
      std::vector<double> all;
      for (const nlohmann::json& step : read_events(of / "run", "step")) all.push_back(step.at("loss"));
      return all;
    };
    EXPECT_EQ(losses(folder(0)), losses(serial));
    processes_.clear();
  };
  for (const int ranks : {1, 2, 4}) {
    start(ranks, {"--epochs", "2", "--strategy", "ddp"});
    expect_equal(ranks);
  }
  start(2, {"--epochs", "2", "--strategy", "hybrid", "--replicas", "2"}, nullptr, {{"LOCAL_WORLD_SIZE", "2"}});
  expect_equal(2);
}

// Weights and running statistics: each host has a file of its own, and rank 0's is the one that counts.
TEST_F(TcpJob, begins_with_what_rank_0_has_read) {
  const TemporaryFolder serial;
  const auto make = [&](const char* name, const char* seed) {
    EXPECT_EQ(run_convoy(serial, small_training({"--model", kModel, "--save", name, "--seed", seed})).exit_code, 0);
    return (serial / name).string();
  };
  const std::string files[] = {make("first", "5"), make("second", "6")};
  EXPECT_EQ(run_convoy(serial, training({"--init", files[0]})).exit_code, 0);
  start(2, {"--strategy", "ddp"}, [&](int rank) { return Arguments{"--init", files[rank]}; });
  for (const int rank : {0, 1}) EXPECT_EQ(end(rank).exit_code, 0);
  EXPECT_TRUE(read_text(folder(0) / "weights") == read_text(serial / "weights"));
  const auto loss = [](const TemporaryFolder& of) {
    return read_events(of / "run", "epoch").at(0).at("validation_loss");
  };
  EXPECT_EQ(loss(folder(0)), loss(serial));
}

TEST_F(TcpJob, of_three_ranks_goes_around_the_ring) {
  const auto first_loss = [](const TemporaryFolder& of) {
    return read_events(of / "run", "step").at(0).at("loss").get<double>();
  };
  const TemporaryFolder serial;
  EXPECT_EQ(run_convoy(serial, training({"--epochs", "1"})).exit_code, 0);
  start(3, {"--epochs", "1", "--strategy", "ddp"}, nullptr, {}, {"--reduce", "ring"});
  for (const int rank : {0, 1, 2}) EXPECT_EQ(end(rank).exit_code, 0);
  // The mean of 64 losses in two orders of addition.
  EXPECT_NEAR(first_loss(folder(0)), first_loss(serial), 2 * 64 * 1.2e-7 * first_loss(serial));
}

TEST_F(TcpJob, ends_with_a_killed_rank_which_all_others_name) {
  for (const int killed : {0, 2}) {
    start_endless(4);
    const auto start = Clock::now();
    send(killed, SIGKILL);
    for (int rank = 0; rank < 4; ++rank) {
      if (rank == killed) continue;
      expect_told(rank, "rank " + std::to_string(rank) + " on \\S+: rank " + std::to_string(killed) +
                            " on \\S+ has left the job; (the last step done here is \\d+|no step was done)");
    }
    EXPECT_LT(Clock::now() - start, std::chrono::seconds(10));
    EXPECT_EQ(end(killed).exit_code, 128 + SIGKILL);
    processes_.clear();
  }
}

TEST_F(TcpJob, ends_with_a_stopped_rank_which_learns_of_it_later) {
  start_endless(2);
  const auto start = Clock::now();
  send(1, SIGSTOP);
  expect_told(0, "rank 0 on \\S+: rank 1 on \\S+ has shown no sign of life for 6 s \\(is it stopped\\?\\); .*");
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(10));
  send(1, SIGCONT);
  expect_told(1, "rank 1 on \\S+: the other ranks have given this one up, which had shown no sign of life; .*");
}

TEST_F(TcpJob, stops_as_a_whole_after_the_same_step_when_one_rank_is_terminated) {
  start_endless(2);
  send(1, SIGTERM);
  EXPECT_EQ(end(1).exit_code, 143);
  EXPECT_EQ(end(0).exit_code, 130);
  EXPECT_EQ(read_events(folder(0) / "run").back().at("event"), "interrupted");
  EXPECT_TRUE(std::filesystem::exists(folder(0) / "weights"));
}

// Every rank may have a terminal of its own.
TEST_F(TcpJob, is_resumed_by_ranks_that_all_see_the_folder_of_the_run) {
  const Arguments more{"--epochs", "40", "--checkpoint-every", "1", "--strategy", "ddp"};
  start(2, more);
  for (const int rank : {0, 1}) EXPECT_EQ(end(rank).exit_code, 0);
  const std::string whole = read_text(folder(0) / "weights"), log = step_lines(folder(0) / "run");
  processes_.clear();

  start(2, more);
  wait_for("a step", [&] { return !step_lines(folder(0) / "run").empty(); });
  send(0, SIGTERM);
  for (const int rank : {0, 1}) EXPECT_EQ(end(rank).exit_code, rank == 0 ? 143 : 130);
  EXPECT_LT(step_lines(folder(0) / "run").size(), log.size());
  processes_.clear();

  start_in_folders([&](int) { return Arguments{"train", "--resume", (folder(0) / "run").string()}; });
  for (const int rank : {0, 1}) {
    const Outcome outcome = end(rank);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  }
  EXPECT_TRUE(read_text(folder(0) / "weights") == whole);
  EXPECT_EQ(step_lines(folder(0) / "run"), log);
}

TEST_F(TcpJob, of_ranks_that_were_started_differently_is_refused_by_each) {
  start(2, {"--strategy", "ddp"}, [](int rank) { return Arguments{"--seed", std::to_string(rank + 1)}; });
  for (const int rank : {0, 1})
    expect_told(rank, "rank 1 on \\S+ has --seed 2, rank 0 on \\S+ has 1; start all ranks alike");
}

TEST_F(TcpJob, tells_an_error_of_all_ranks_on_each_with_its_own_code) {
  start(2, {"--strategy", "ddp", "--lr", "1e30"});
  const Outcome first = end(0), second = end(1);
  EXPECT_EQ(first.exit_code, 4);
  EXPECT_TRUE(first.error.starts_with("convoy: step ")) << first.error;
  EXPECT_EQ(std::ranges::count(first.error, '\n'), 1) << first.error;
  EXPECT_EQ(second.exit_code, 4);
  EXPECT_EQ(second.error, first.error);
}

TEST(TcpJobStart, at_a_port_in_use_is_told_with_the_cure) {
  const tcp::Socket taken = tcp::listen_on(0);
  const std::string port = std::to_string(tcp::port_of(taken));
  const TemporaryFolder folder;
  const Outcome outcome =
      run_convoy(folder, training({"--strategy", "ddp"}),
                 {{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "localhost"}, {"MASTER_PORT", port}});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.error,
            "convoy: rendezvous: port " + port +
                " of this host is in use (by another rank 0?); choose another MASTER_PORT, or end who has it\n");
}

// torchrun's agent has MASTER_PORT.
TEST_F(TcpJob, meets_beside_the_agent_of_torchrun) {
  const tcp::Socket agent = tcp::listen_on(0);
  start(2, {"--epochs", "1", "--strategy", "ddp"}, nullptr,
        {{"MASTER_PORT", std::to_string(tcp::port_of(agent))}, {"TORCHELASTIC_USE_AGENT_STORE", "True"}});
  for (const int rank : {0, 1}) {
    const Outcome outcome = end(rank);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  }
}

}  // namespace
}  // namespace convoy
