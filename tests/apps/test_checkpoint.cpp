// A training that was interrupted or killed and resumed is, bit for bit, the training that never stopped.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>

#include "tensor/safetensors.h"
#include "tests/apps/resumed_training.h"
#include "tests/apps/with_mpi.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

// Small checkpoints; batch norm, dropout and a smaller last batch take part: 4 steps an epoch, 12 in all.
const char* const kModel = "conv 4 3x3 stride 2; bn; relu; dropout 0.3; flatten; linear 10";
constexpr int64_t kPerEpoch = 4, kSteps = 12;

Arguments training(const Arguments& more, const char* epochs = "3") {
  Arguments arguments{"train",    "--dataset",   "synthetic", "--limit", "70",      "--holdout", "50",
                      "--epochs", epochs,        "--batch",   "20",      "--model", kModel,      "--augment",
                      "on",       "--log-every", "1",         "--save",  "w",       "--lr",      "0.01"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

Arguments with(Arguments first, const Arguments& more) {
  first.insert(first.end(), more.begin(), more.end());
  return first;
}

// Runs a training with `more` options without checkpoints, then with one after every step, from some of which it
// resumes.
void expect_same_after_resuming(const Arguments& more, const char* program = kConvoy) {
  SCOPED_TRACE(nlohmann::json(more).dump());
  const TemporaryFolder folder;
  const auto run = [&](const Arguments& arguments) {
    const Outcome outcome = run_convoy(folder, arguments, {}, program);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
    EXPECT_EQ(outcome.error, "");
  };
  run(training(with(more, {"--run", "plain", "--checkpoint-every", "0"})));
  const TrainingOutcome plain = outcome_of(folder, "plain", "w");
  ASSERT_FALSE(plain.weights.empty());
  ASSERT_TRUE(checkpoints_of(folder / "plain").empty());
  run(training(with(more, {"--run", "kept", "--checkpoint-every", "1", "--keep", "100"})));
  ASSERT_TRUE(outcome_of(folder, "kept", "w") == plain) << "checkpoints have changed the training";
  // In mid-epoch, before an epoch's evaluation, after it, and before the last evaluation.
  for (const int64_t step : {kPerEpoch + 2, kPerEpoch, 2 * kPerEpoch + 1, kSteps}) {
    SCOPED_TRACE(fmt::format("from step {}", step));
    const std::string name = fmt::format("from-{}", step);
    copy_killed_run(folder / "kept", folder / name, step);
    run({"train", "--resume", name, "--save", "resumed"});
    const TrainingOutcome resumed = outcome_of(folder, name, "resumed");
    EXPECT_TRUE(resumed.weights == plain.weights);
    EXPECT_EQ(resumed.log, plain.log);
  }
}

TEST(checkpoint, resumes_adam) { expect_same_after_resuming({}); }

TEST(checkpoint, resumes_adamw_with_weight_decay_and_micro_batches) {
  expect_same_after_resuming({"--optimizer", "adamw", "--weight-decay", "0.1", "--accumulate", "2"});
}

TEST(checkpoint, resumes_momentum_and_a_cosine_with_warm_up) {
  expect_same_after_resuming({"--optimizer", "sgd", "--momentum", "0.9", "--nesterov", "on", "--schedule", "cosine",
                              "--warmup-steps", "7", "--label-smoothing", "0.1"});
}

TEST(checkpoint, resumes_sgd_without_momentum_and_a_training_cut_in_mid_epoch) {
  const TemporaryFolder folder;
  const Arguments options{"--optimizer", "sgd", "--momentum", "0", "--steps", "7", "--schedule", "step"};
  ASSERT_EQ(
      run_convoy(folder, training(with(options, {"--run", "a", "--checkpoint-every", "3", "--keep", "2"}))).exit_code,
      0);
  const TrainingOutcome plain = outcome_of(folder, "a", "w");
  EXPECT_EQ(checkpoints_of(folder / "a"),
            (Arguments{"best.safetensors", "step-00000006.safetensors", "step-00000007.safetensors"}));
  copy_killed_run(folder / "a", folder / "b", 6);
  ASSERT_EQ(run_convoy(folder, {"train", "--resume", "b", "--save", "w"}).exit_code, 0);
  EXPECT_TRUE(outcome_of(folder, "b", "w") == plain);
}

TEST(checkpoint, resumes_shards_and_replicas) {
  expect_same_after_resuming({"--reduce", "tree", "--shards", "4", "--threads", "2"});
  expect_same_after_resuming({"--strategy", "replicated", "--replicas", "2"});
}

TEST(CheckpointRanks, resumes_ddp_and_hybrid) {
  if (!with_mpi()) GTEST_SKIP() << kWithoutMpi;
  expect_same_after_resuming({"--strategy", "ddp", "--ranks", "2"});
  expect_same_after_resuming({"--strategy", "hybrid", "--ranks", "2", "--replicas", "2", "--reduce", "tree"});
}

TEST(EmulatedCheckpoint, resumes_recorded_steps_on_a_gpu) {
  expect_same_after_resuming({"--device", "cuda"}, kConvoyEmulated);
}

TEST(checkpoint, resumes_averaged_weights_and_clipping) {
  expect_same_after_resuming({"--ema", "0.9", "--clip-norm", "0.5"});
  expect_same_after_resuming({"--ema", "0.9", "--strategy", "replicated", "--replicas", "2"});
}

TEST(CheckpointRanks, resumes_averaged_weights) {
  if (!with_mpi()) GTEST_SKIP() << kWithoutMpi;
  expect_same_after_resuming({"--ema", "0.9", "--strategy", "ddp", "--ranks", "2"});
}

TEST(EmulatedCheckpoint, resumes_averaged_weights_and_clipping_on_a_gpu) {
  expect_same_after_resuming({"--device", "cuda", "--ema", "0.9", "--clip-norm", "0.5"}, kConvoyEmulated);
}

TEST(checkpoint, has_the_average_under_the_names_of_weights) {
  const TemporaryFolder folder;
  ASSERT_EQ(
      run_convoy(folder, training({"--ema", "0.6", "--run", "a", "--checkpoint-every", "1", "--keep", "99"})).exit_code,
      0);
  TensorFile before = read_safetensors(step_file(folder / "a", 1));
  EXPECT_EQ(before.metadata.at("version"), "2");
  for (int64_t step = 2; step <= kSteps; ++step) {
    TensorFile now = read_safetensors(step_file(folder / "a", step));
    const double decay = std::min(0.6, static_cast<double>(1 + step) / static_cast<double>(10 + step));
    int compared = 0;
    for (auto& [name, tensor] : now.tensors) {
      if (name.find('.') == std::string::npos || !now.tensors.contains("training." + name)) continue;
      for (int64_t i = 0; i < tensor.count(); ++i) {
        const double old = before.tensors.at(name).data<float>()[i],
                     trained = now.tensors.at("training." + name).data<float>()[i];
        // Three roundings of values around 1, and of a decay rounded itself.
        ASSERT_NEAR(tensor.data<float>()[i], decay * old + (1 - decay) * trained,
                    4 * 0x1p-23 * std::max({1.0, std::fabs(old), std::fabs(trained)}))
            << name << " in step " << step;
      }
      ++compared;
    }
    EXPECT_EQ(compared, 8) << "2 of each convolution and linear layer, 4 of batch norm";
    before = std::move(now);
  }
  // And these are the weights saved and evaluated.
  EXPECT_EQ(read_safetensors(folder / "w").tensors.size(), 8u);
  for (auto& [name, tensor] : read_safetensors(folder / "w").tensors)
    EXPECT_EQ(std::memcmp(tensor.raw(), before.tensors.at(name).raw(), static_cast<size_t>(tensor.bytes())), 0) << name;
  const Outcome eval = run_convoy(
      folder, {"eval", "--dataset", "synthetic", "--holdout", "50", "--batch", "20", "--model", kModel, "--init", "w"});
  const nlohmann::json summary = read_events(folder / "a", "summary").at(0);
  EXPECT_NE(eval.out.find(fmt::format("validation loss {:.4f}, validation accuracy {:.2f} %",
                                      summary.at("validation_loss").get<double>(),
                                      summary.at("validation_accuracy").get<double>())),
            std::string::npos)
      << eval.out << eval.error << summary;
}

TEST(checkpoint, resumes_with_patience) {
  expect_same_after_resuming({"--patience", "1"});
  expect_same_after_resuming({"--patience", "1", "--ema", "0.5"});
}

TEST(checkpoint, patience_ends_early_with_the_best_weights) {
  const TemporaryFolder folder;
  Arguments arguments = training({"--run", "a", "--patience", "2"}, "40");
  arguments.insert(arguments.end(), {"--optimizer", "sgd"});
  *(std::ranges::find(arguments, "--lr") + 1) = "0.3";
  const Outcome outcome = run_convoy(folder, arguments);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  double best = -1;
  int64_t best_epoch = 0;
  const std::vector<nlohmann::json> epochs = read_events(folder / "a", "epoch");
  for (size_t i = 0; i < epochs.size(); ++i) {
    ASSERT_LT(static_cast<int64_t>(i) - best_epoch, 2) << "patience was over";
    const double accuracy = epochs[i].at("validation_accuracy");
    if (accuracy > best) {
      best = accuracy;
      best_epoch = static_cast<int64_t>(i) + 1;
    }
  }
  ASSERT_LT(epochs.size(), 40u) << "this training never loses patience";
  ASSERT_EQ(static_cast<int64_t>(epochs.size()), best_epoch + 2);
  const nlohmann::json summary = read_events(folder / "a").back();
  EXPECT_EQ(summary.at("best_epoch"), best_epoch);
  EXPECT_EQ(summary.at("stopped_early"), true);
  EXPECT_EQ(summary.at("validation_accuracy"), best);
  for (const std::string& told :
       {fmt::format("stopped early, after epoch {}: 2 epochs without a higher validation accuracy\n", best_epoch + 2),
        fmt::format("restored the weights of epoch {}, the best one\n", best_epoch),
        fmt::format("weights  w (of epoch {})\n", best_epoch)})
    EXPECT_NE(outcome.out.find(told), std::string::npos) << outcome.out;
  // The saved weights are those of the best checkpoint.
  TensorFile file = read_safetensors(folder / "a/checkpoints/best.safetensors");
  for (auto& [name, tensor] : read_safetensors(folder / "w").tensors)
    EXPECT_EQ(std::memcmp(tensor.raw(), file.tensors.at(name).raw(), static_cast<size_t>(tensor.bytes())), 0) << name;
  // Killed after the last epoch's checkpoint: nothing is trained any more.
  const TrainingOutcome plain = outcome_of(folder, "a", "w");
  fs::copy(folder / "a", folder / "b", fs::copy_options::recursive);
  std::string log = read_text(folder / "a/metrics.jsonl");
  log.resize(log.rfind("{\"event\":\"summary\""));
  std::ofstream(folder / "b/metrics.jsonl", std::ios::binary) << log;
  ASSERT_EQ(run_convoy(folder, {"train", "--resume", "b", "--save", "v"}).exit_code, 0);
  EXPECT_TRUE(outcome_of(folder, "b", "v") == plain);
}

TEST(checkpoint, patience_that_is_never_lost_still_restores_the_best) {
  const TemporaryFolder folder;
  const Outcome outcome = run_convoy(folder, training({"--run", "a", "--patience", "30"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_EQ(outcome.out.find("stopped early"), std::string::npos) << outcome.out;
  double best = 0;
  for (const nlohmann::json& epoch : read_events(folder / "a", "epoch"))
    best = std::max(best, epoch.at("validation_accuracy").get<double>());
  const nlohmann::json summary = read_events(folder / "a").back();
  EXPECT_EQ(summary.at("validation_accuracy"), best);
  EXPECT_EQ(summary.at("stopped_early"), false);
}

TEST(checkpoint, resumes_with_other_threads_and_workers) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_convoy(folder, training({"--run", "a", "--checkpoint-every", "1", "--keep", "9"})).exit_code, 0);
  const TrainingOutcome plain = outcome_of(folder, "a", "w");
  copy_killed_run(folder / "a", folder / "b", 6);
  const Outcome outcome =
      run_convoy(folder, {"train", "--resume", "b", "--save", "v", "--threads", "3", "--workers", "2"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_TRUE(outcome_of(folder, "b", "v") == plain);
}

TEST(checkpoint, files_are_the_newest_and_the_best) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_convoy(folder, training({"--run", "epochs"})).exit_code, 0);
  EXPECT_EQ(checkpoints_of(folder / "epochs"), (Arguments{"best.safetensors", "step-00000012.safetensors"}));
  ASSERT_EQ(run_convoy(folder, training({"--run", "three", "--keep", "3", "--checkpoint-every", "2"})).exit_code, 0);
  EXPECT_EQ(checkpoints_of(folder / "three"), (Arguments{"best.safetensors", "step-00000008.safetensors",
                                                         "step-00000010.safetensors", "step-00000012.safetensors"}));
  // Not every fifth step, but the last.
  ASSERT_EQ(run_convoy(folder, training({"--run", "five", "--checkpoint-every", "5"})).exit_code, 0);
  EXPECT_EQ(checkpoints_of(folder / "five"), (Arguments{"best.safetensors", "step-00000012.safetensors"}));
  // The best is a file of weights, too: of the epoch with the highest accuracy.
  double best = 0;
  for (const nlohmann::json& epoch : read_events(folder / "epochs", "epoch"))
    best = std::max(best, epoch.at("validation_accuracy").get<double>());
  const Outcome eval = run_convoy(folder, {"eval", "--dataset", "synthetic", "--holdout", "50", "--model", kModel,
                                           "--init", "epochs/checkpoints/best.safetensors"});
  ASSERT_EQ(eval.exit_code, 0) << eval.error;
  EXPECT_NE(eval.out.find(fmt::format("validation accuracy {:.2f} %", best)), std::string::npos) << eval.out << best;
}

TEST(checkpoint, a_complete_run_is_left_alone) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_convoy(folder, training({"--run", "a"})).exit_code, 0);
  const std::string log = read_text(folder / "a/metrics.jsonl");
  const auto files = checkpoints_of(folder / "a");
  const Outcome outcome = run_convoy(folder, {"train", "--resume", "a"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_EQ(outcome.out, "a: this run is complete; to train its network further: convoy train --init a\n");
  EXPECT_EQ(read_text(folder / "a/metrics.jsonl"), log);
  EXPECT_EQ(checkpoints_of(folder / "a"), files);
}

class InterruptedRun : public testing::TestWithParam<int> {};

TEST_P(InterruptedRun, tells_how_to_go_on_and_does) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_convoy(folder, training({"--run", "plain"}, "60")).exit_code, 0);
  const TrainingOutcome plain = outcome_of(folder, "plain", "w");
  Process process(folder, training({"--run", "a b"}, "60"));
  wait_for("a third step", [&] { return step_lines(folder / "a b").find("\"step\":3,") != std::string::npos; });
  process.send(GetParam());
  const Outcome outcome = process.wait();
  ASSERT_EQ(outcome.exit_code, 128 + GetParam()) << outcome.error;
  EXPECT_NE(outcome.out.find("resume with: convoy train --resume 'a b'\n"), std::string::npos) << outcome.out;
  EXPECT_EQ(outcome.error, GetParam() == SIGINT    ? "stopping after this step; Ctrl-C again stops now\n"
                           : GetParam() == SIGTERM ? "stopping after this step (SIGTERM); a second signal stops now\n"
                                                   : "stopping after this step (SIGUSR1); a second signal stops now\n");
  EXPECT_EQ(read_events(folder / "a b").back().at("event"), "interrupted");
  const Outcome resumed = run_convoy(folder, {"train", "--resume", "a b"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.error;
  EXPECT_TRUE(outcome_of(folder, "a b", "w").weights == plain.weights);
  EXPECT_EQ(outcome_of(folder, "a b", "w").log, plain.log);
}

INSTANTIATE_TEST_SUITE_P(checkpoint, InterruptedRun, testing::Values(SIGINT, SIGTERM, SIGUSR1));

TEST(checkpoint, an_interrupted_run_without_checkpoints_promises_nothing) {
  const TemporaryFolder folder;
  Process process(folder, small_training({"--epochs", "100000", "--run", "run", "--checkpoint-every", "0"}));
  wait_for("a step", [&] { return !step_lines(folder / "run").empty(); });
  process.send(SIGINT);
  const Outcome outcome = process.wait();
  EXPECT_EQ(outcome.exit_code, 130) << outcome.error;
  EXPECT_EQ(outcome.out.find("resume with"), std::string::npos) << outcome.out;
  EXPECT_EQ(run_convoy(folder, {"train", "--resume", "run"}).exit_code, 3);
}

}  // namespace
}  // namespace convoy
