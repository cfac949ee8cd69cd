// Several GPUs: whoever computes the parts of a batch, the training is that of one. On emulated ones; ranks are
// processes that sum over the emulated NCCL.
#include <gtest/gtest.h>

#include <csignal>

#include "parallel/socket.h"
#include "tests/apps/run_convoy.h"
#include "tests/apps/with_mpi.h"

namespace convoy {
namespace {

using Arguments = std::vector<std::string>;

// Batch norm, dropout and a smaller last batch take part.
const char* const kModel =
    "conv 8 3x3; bn; relu; maxpool 2; dropout 0.3; conv 12 3x3 stride 2; relu; flatten; linear 10";

Arguments command_line(const Arguments& more) {
  std::map<std::string, std::string> options{{"--device", "cuda"}, {"--dataset", "synthetic"}, {"--limit", "72"},
                                             {"--batch", "16"},    {"--holdout", "40"},        {"--epochs", "1"},
                                             {"--run", "run"},     {"--save", "weights"},      {"--model", kModel}};
  for (size_t i = 0; i < more.size(); i += 2) options[more[i]] = more[i + 1];
  Arguments arguments{"train"};
  for (const auto& [name, value] : options) arguments.insert(arguments.end(), {name, value});
  return arguments;
}

Outcome run(const TemporaryFolder& folder, const Arguments& more, const char* gpus = "4") {
  return run_convoy(folder, command_line(more), {{"CONVOY_EMULATED_GPUS", gpus}}, kConvoyEmulated);
}

// Two ranks that share a GPU, and so have to pretend to be two hosts.
std::vector<std::unique_ptr<Process>> start_two_ranks(const TemporaryFolder& folder, const Arguments& more) {
  const std::string port = std::to_string(tcp::port_of(tcp::listen_on(0)));
  std::vector<std::unique_ptr<Process>> ranks;
  for (const char* rank : {"0", "1"}) {
    ranks.push_back(std::make_unique<Process>(folder, command_line(more),
                                              std::map<std::string, std::string>{{"RANK", rank},
                                                                                 {"WORLD_SIZE", "2"},
                                                                                 {"MASTER_ADDR", "localhost"},
                                                                                 {"MASTER_PORT", port},
                                                                                 {"NCCL_HOSTID", rank},
                                                                                 {"CONVOY_EMULATED_GPUS", "1"}},
                                              kConvoyEmulated));
  }
  return ranks;
}

// The bytes of the weights after a training.
std::string weights(const Arguments& more) {
  const TemporaryFolder folder;
  const Outcome outcome = run(folder, more);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  return outcome.exit_code == 0 ? read_text(folder / "weights") : "failed";
}

Arguments along_tree(Arguments strategy) {
  strategy.insert(strategy.end(), {"--reduce", "tree", "--shards", "4"});
  return strategy;
}

const std::string& weights_of_one_gpu() {
  static const std::string bytes = weights(along_tree({}));
  return bytes;
}

TEST(EmulatedGpus, replicas_give_the_bits_of_one_gpu) {
  for (const char* replicas : {"2", "4"})
    EXPECT_TRUE(weights(along_tree({"--strategy", "replicated", "--replicas", replicas})) == weights_of_one_gpu());
}

TEST(EmulatedGpus, replicas_give_the_bits_of_one_gpu_in_bf16) {
  EXPECT_TRUE(weights(along_tree({"--precision", "bf16", "--strategy", "replicated", "--replicas", "2"})) ==
              weights(along_tree({"--precision", "bf16"})));
}

TEST(EmulatedGpusOfRanks, give_the_bits_of_one_gpu) {
  if (!with_mpi()) GTEST_SKIP() << kWithoutMpi;
  EXPECT_TRUE(weights(along_tree({"--strategy", "ddp", "--ranks", "2"})) == weights_of_one_gpu());
  EXPECT_TRUE(weights(along_tree({"--strategy", "hybrid", "--ranks", "2", "--replicas", "2"})) == weights_of_one_gpu());
}

TEST(EmulatedGpusOfRanks, sum_by_nccl_unless_told_otherwise) {
  if (!with_mpi()) GTEST_SKIP() << kWithoutMpi;
  const TemporaryFolder folder;
  const Outcome outcome = run(folder, {"--model", "flatten; linear 10", "--strategy", "ddp", "--ranks", "3"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_NE(outcome.out.find("parallel ddp: 3 ranks, nccl over 3 shards"), std::string::npos) << outcome.out;
}

TEST(EmulatedGpus, of_ranks_without_mpi_give_the_bits_of_one) {
  const TemporaryFolder folder;
  for (const auto& rank : start_two_ranks(folder, along_tree({"--strategy", "ddp"}))) {
    const Outcome outcome = rank->wait();
    EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  }
  EXPECT_TRUE(read_text(folder / "weights") == weights_of_one_gpu());
}

TEST(EmulatedGpus, end_with_a_killed_rank) {
  const TemporaryFolder folder;
  const auto ranks = start_two_ranks(folder, {"--strategy", "ddp", "--epochs", "100000", "--log-every", "1"});
  wait_for("a step", [&] { return !step_lines(folder / "run").empty(); });
  ranks[1]->send(SIGKILL);
  const Outcome outcome = ranks[0]->wait();
  EXPECT_EQ(outcome.exit_code, 7);
  EXPECT_NE(outcome.error.find(" has left the job; the last step done here is "), std::string::npos) << outcome.error;
}

TEST(EmulatedGpus, what_they_cannot_do_is_refused_in_one_line) {
  const auto expect_error = [](const Arguments& more, int exit_code, const char* message) {
    const TemporaryFolder folder;
    const Outcome outcome = run(folder, more, "2");
    EXPECT_EQ(outcome.exit_code, exit_code);
    EXPECT_EQ(outcome.error, std::string("convoy: ") + message + "\n");
    EXPECT_TRUE(folder.names().empty());
  };
  expect_error({"--strategy", "replicated", "--replicas", "3"}, 6,
               "--device cuda: this host has 2 GPUs, 3 are wanted (1 rank of 3 replicas); start fewer");
  expect_error({"--strategy", "replicated", "--device", "cuda:1"}, 2,
               "--device cuda:1: names one GPU, --strategy replicated wants 2; leave out the number, and let "
               "$CUDA_VISIBLE_DEVICES choose");
  expect_error({"--strategy", "replicated", "--graph", "on"}, 2, "--graph: has no effect with --strategy replicated");
  expect_error({"--strategy", "replicated", "--reduce", "nccl"}, 2,
               "--reduce: has no effect with --strategy replicated, which has one rank; choose ring or tree");
  expect_error({"--strategy", "ddp", "--ranks", "2", "--reduce", "ring"}, 2,
               "--reduce ring: does not sum between GPUs; choose nccl or tree");
}

}  // namespace
}  // namespace convoy
