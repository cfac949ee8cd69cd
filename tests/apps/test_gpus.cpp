// Several GPUs: whoever computes the parts of a batch, the training is that of one. On emulated ones; ranks are processes that
// sum over the emulated NCCL.
#include <gtest/gtest.h>

#include "tests/apps/run_convoy.h"
#include "tests/apps/with_mpi.h"

namespace convoy {
namespace {

using Arguments = std::vector<std::string>;

Outcome run(const TemporaryFolder& folder, const Arguments& more, const char* gpus = "4") {
  std::map<std::string, std::string> options{{"--device", "cuda"}, {"--dataset", "synthetic"}, {"--limit", "72"},
                                             {"--batch", "16"},    {"--holdout", "40"},        {"--epochs", "1"},
                                             {"--run", "run"},     {"--save", "weights"}};
  for (size_t i = 0; i < more.size(); i += 2) options[more[i]] = more[i + 1];
  Arguments arguments{"train"};
  for (const auto& [name, value] : options) arguments.insert(arguments.end(), {name, value});
  return run_convoy(folder, arguments, {{"CONVOY_EMULATED_GPUS", gpus}}, kConvoyEmulated);
}

// The bytes of the weights, after a training in which batch norm, dropout and a smaller last batch take part.
std::string weights(const Arguments& more) {
  const TemporaryFolder folder;
  Arguments arguments{"--model",
                      "conv 8 3x3; bn; relu; maxpool 2; dropout 0.3; conv 12 3x3 stride 2; relu; flatten; linear 10"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const Outcome outcome = run(folder, arguments);
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

TEST(EmulatedGpus, what_they_cannot_do_is_refused_in_one_line) {
  const auto expect_error = [](const Arguments& more, int exit_code, const char* message) {
    const TemporaryFolder folder;
    const Outcome outcome = run(folder, more, "2");
    EXPECT_EQ(outcome.exit_code, exit_code);
    EXPECT_EQ(outcome.error, std::string("convoy: ") + message + "\n");
    EXPECT_TRUE(folder.names().empty());
  };
  expect_error({"--strategy", "replicated", "--replicas", "3"}, 6,
               "--device cuda: this host has 2 GPUs, 3 are wanted (3 on each of its ranks); start fewer");
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
