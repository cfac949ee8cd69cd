// `convoy train --strategy …`: whoever computes the parts of a batch, the training is the same.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "tests/apps/run_convoy.h"
#include "tests/apps/with_mpi.h"

namespace convoy {
namespace {

using Arguments = std::vector<std::string>;

// Batch norm, dropout and layers without a fixed order of sums take part.
const char* const kRichModel =
    "conv 8 3x3 pad 1; bn; relu; maxpool 2; dropout 0.3; conv 12 3x3 stride 2; bn; relu; flatten; dropout 0.5; linear "
    "10";

struct Result {
  std::string weights;             // the bytes of the file
  std::vector<std::string> lines;  // of metrics.jsonl, without times
  std::string error;
  bool operator==(const Result&) const = default;
};

Result train(const Arguments& more) {
  const TemporaryFolder folder;
  Arguments arguments = small_training(
      {"--model", kRichModel, "--batch", "64", "--epochs", "2", "--run", "run", "--save", "weights.safetensors"});
  arguments.insert(arguments.end(), more.begin(), more.end());
  const Outcome outcome = run_convoy(folder, arguments);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  Result result{.weights = read_text(folder / "weights.safetensors"), .lines = {}, .error = outcome.error};
  for (nlohmann::json event : read_events(folder / "run")) {
    if (event.at("event") == "summary") continue;
    for (const char* name : {"seconds", "copy_seconds", "compute_seconds", "exchange_seconds", "reduce_seconds",
                             "communicate_seconds", "update_seconds"})
      event.erase(name);
    result.lines.push_back(event.dump());
  }
  return result;
}

const Result& serial_tree() {
  static const Result result = train({"--reduce", "tree", "--shards", "8"});
  return result;
}

double first_loss(const Result& result) { return nlohmann::json::parse(result.lines.at(0)).at("loss").get<double>(); }

void expect_same_bits(const Arguments& more) {
  SCOPED_TRACE(nlohmann::json(more).dump());
  Arguments arguments{"--reduce", "tree", "--shards", "8"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const Result result = train(arguments);
  EXPECT_EQ(result.lines, serial_tree().lines);
  EXPECT_TRUE(result.weights == serial_tree().weights && !result.weights.empty());
  EXPECT_EQ(result.error, "");
}

// The mean of 64 losses in two orders of addition.
void expect_near_serial(const Result& result) {
  const double serial = first_loss(train({}));
  EXPECT_NEAR(first_loss(result), serial, 2 * 64 * std::numeric_limits<float>::epsilon() * serial);
}

TEST(strategies, tree_gives_the_same_bits_for_any_threads_and_replicas) {
  for (const char* threads : {"1", "2", "3"}) expect_same_bits({"--threads", threads});
  for (const char* replicas : {"2", "4"}) expect_same_bits({"--strategy", "replicated", "--replicas", replicas});
}

// Running statistics, too, which evaluation sees.
TEST(strategies, replicas_begin_with_what_init_says) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_convoy(folder, small_training({"--model", kRichModel, "--save", "start"})).exit_code, 0);
  const std::string start = (folder / "start").string();
  const Result serial = train({"--init", start, "--reduce", "tree"});
  const Result replicated = train({"--init", start, "--reduce", "tree", "--strategy", "replicated", "--replicas", "4"});
  EXPECT_EQ(replicated.lines, serial.lines);
  EXPECT_TRUE(replicated.weights == serial.weights);
}

TEST(strategies, replicated_around_the_ring_is_serial_up_to_rounding) {
  expect_near_serial(train({"--strategy", "replicated", "--replicas", "3"}));
}

TEST(strategies, micro_batches_without_batch_norm_are_serial_up_to_rounding) {
  const Arguments plain{"--model", "conv 4 3x3; relu; maxpool 2; dropout 0.2; flatten; linear 10"};
  const auto with = [&](Arguments more) {
    Arguments all{"train", "--dataset", "synthetic", "--limit",     "70", "--holdout", "50", "--epochs",
                  "1",     "--batch",   "64",        "--log-every", "1",  "--run",     "run"};
    all.insert(all.end(), plain.begin(), plain.end());
    all.insert(all.end(), more.begin(), more.end());
    const TemporaryFolder folder;
    EXPECT_EQ(run_convoy(folder, all).exit_code, 0);
    return read_events(folder / "run", "step").at(0).at("loss").get<double>();
  };
  const double whole = with({});
  EXPECT_NEAR(with({"--accumulate", "5"}), whole, 2 * 64 * std::numeric_limits<float>::epsilon() * whole);
}

// A training along the tree with `options` has other bits than one without, and the same ones whoever takes part.
void expect_same_for(const Arguments& options, const std::vector<Arguments>& strategies) {
  Arguments tree{"--reduce", "tree", "--shards", "4", "--optimizer", "sgd", "--lr", "0.1"};
  const std::string without = train(tree).weights;
  tree.insert(tree.end(), options.begin(), options.end());
  const Result serial = train(tree);
  EXPECT_FALSE(serial.weights == without);
  for (const Arguments& strategy : strategies) {
    SCOPED_TRACE(nlohmann::json(strategy).dump());
    Arguments all = tree;
    all.insert(all.end(), strategy.begin(), strategy.end());
    EXPECT_EQ(train(all), serial);
  }
}

const std::vector<Arguments> kOfOneProcess{{"--threads", "3"}, {"--strategy", "replicated", "--replicas", "4"}};
const std::vector<Arguments> kOfRanks{{"--strategy", "ddp", "--ranks", "2"},
                                      {"--strategy", "hybrid", "--ranks", "2", "--replicas", "2"}};

// The norm is that of the gradients of the whole batch, whoever computes its parts.
TEST(strategies, clipping_gives_the_same_bits_for_any_threads_and_replicas) {
  expect_same_for({"--clip-norm", "0.25"}, kOfOneProcess);
}

// Running statistics of batch norm are averaged, too, and all shards evaluate with the average.
TEST(strategies, averages_of_weights_have_the_same_bits_for_any_threads_and_replicas) {
  expect_same_for({"--ema", "0.7"}, kOfOneProcess);
}

TEST(strategies, all_replicas_evaluate_the_average_that_is_saved) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_convoy(folder, small_training({"--model", kRichModel, "--ema", "0.9", "--strategy", "replicated",
                                               "--replicas", "4", "--epochs", "2", "--run", "run", "--save", "w"}))
                .exit_code,
            0);
  const double loss = read_events(folder / "run", "summary").at(0).at("validation_loss");
  const Outcome eval =
      run_convoy(folder, {"eval", "--dataset", "synthetic", "--holdout", "300", "--model", kRichModel, "--init", "w"});
  ASSERT_EQ(eval.exit_code, 0) << eval.error;
  const std::string told = "validation loss ";
  // Four digits are told.
  EXPECT_NEAR(std::stod(eval.out.substr(eval.out.find(told) + told.size())), loss, 6e-5) << eval.out;
}

TEST(StrategiesRanks, clipping_and_averages_give_the_same_bits_on_ranks) {
  if (!with_mpi()) GTEST_SKIP() << kWithoutMpi;
  expect_same_for({"--clip-norm", "0.25", "--ema", "0.7"}, kOfRanks);
}

TEST(StrategiesRanks, tree_gives_the_same_bits_for_ddp_and_hybrid) {
  if (!with_mpi()) GTEST_SKIP() << kWithoutMpi;
  for (const char* ranks : {"2", "4"}) expect_same_bits({"--strategy", "ddp", "--ranks", ranks});
  expect_same_bits({"--strategy", "ddp", "--ranks", "2", "--threads", "3", "--bucket-mb", "0.001"});
  expect_same_bits({"--strategy", "hybrid", "--ranks", "2", "--replicas", "2"});
}

TEST(StrategiesRanks, batch_norms_exchanges_between_ranks_are_a_part_of_computing) {
  if (!with_mpi()) GTEST_SKIP() << kWithoutMpi;
  const auto epoch_with = [](const Arguments& more) {
    const TemporaryFolder folder;
    Arguments arguments = small_training({"--model", kRichModel, "--epochs", "1", "--run", "run"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    EXPECT_EQ(run_convoy(folder, arguments).exit_code, 0);
    return read_events(folder / "run", "epoch").at(0);
  };
  const nlohmann::json ranks = epoch_with({"--strategy", "ddp", "--ranks", "2"}),
                       replicas = epoch_with({"--strategy", "replicated", "--replicas", "2"});
  EXPECT_GT(ranks.at("exchange_seconds").get<double>(), 0);
  EXPECT_LT(ranks.at("exchange_seconds").get<double>(), ranks.at("compute_seconds").get<double>());
  EXPECT_EQ(replicas.at("exchange_seconds"), 0);
}

TEST(StrategiesRanks, ddp_without_a_tree_is_serial_up_to_rounding) {
  if (!with_mpi()) GTEST_SKIP() << kWithoutMpi;
  for (const char* reduce : {"ring", "mpi"})
    expect_near_serial(train({"--strategy", "ddp", "--ranks", "3", "--reduce", reduce}));
}

}  // namespace
}  // namespace convoy
