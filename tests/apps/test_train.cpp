// What `convoy train` writes, shows and promises.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "tests/apps/run_convoy.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

// A network in which every source of randomness and every kind of reduction takes part.
const char* const kRichModel =
    "conv 8 3x3 pad 1; bn; relu; maxpool 2; dropout 0.3; conv 12 3x3 stride 2; bn; relu; flatten; dropout "
    "0.5; linear 10";

TEST(train, metrics_hold_steps_epochs_and_last_the_summary) {
  const TemporaryFolder folder;
  const Outcome outcome = run_convoy(folder, small_training({"--epochs", "2", "--batch", "64", "--run", "run"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_EQ(folder.names(), std::vector<std::string>{"run"});

  const std::vector<nlohmann::json> events = read_events(folder / "run");
  ASSERT_EQ(events.size(), 11u);  // 2 epochs of ceil(200 / 64) = 4 steps, 2 epoch lines, the summary
  for (size_t i = 0; i < events.size() - 1; ++i) {
    const nlohmann::json& event = events[i];
    const int64_t epoch = i < 5 ? 1 : 2;
    EXPECT_EQ(event.at("epoch"), epoch);
    if (i == 4 || i == 9) {
      EXPECT_EQ(event.at("event"), "epoch");
      EXPECT_EQ(event.at("step"), 4 * epoch);
      for (const char* key : {"train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "seconds"})
        EXPECT_TRUE(event.at(key).is_number()) << key;
    } else {
      EXPECT_EQ(event.at("event"), "step");
      EXPECT_EQ(event.at("step"), static_cast<int64_t>(i < 4 ? i + 1 : i));
      EXPECT_GT(event.at("loss"), 0.0);
      EXPECT_GT(event.at("lr"), 0.0);
    }
  }
  const nlohmann::json& summary = events.back();
  EXPECT_EQ(summary.at("event"), "summary");
  EXPECT_EQ(summary.at("validation_loss"), events[9].at("validation_loss"));
  EXPECT_EQ(summary.at("validation_accuracy"), events[9].at("validation_accuracy"));
  // Both are computed from the same two numbers, samples and seconds: 400 samples within rounding of a
  // double.
  EXPECT_NEAR(summary.at("samples_per_second").get<double>() * summary.at("seconds").get<double>(), 400, 1e-9);

  const nlohmann::json config = nlohmann::json::parse(read_text(folder / "run/config.json"));
  EXPECT_EQ(config.at("batch"), 64);
  EXPECT_EQ(config.at("epochs"), 2);
  EXPECT_EQ(config.at("dataset"), "synthetic");
  EXPECT_EQ(config.at("limit"), 200);
  EXPECT_EQ(config.at("training_images"), 200);
  EXPECT_EQ(config.at("validation_images"), 300);
  EXPECT_TRUE(config.at("version").is_string());
}

TEST(train, a_limit_beyond_the_data_is_told_with_what_there_is) {
  const TemporaryFolder folder;
  const Outcome outcome = run_convoy(folder, {"train", "--dataset", "synthetic", "--limit", "1000000", "--steps", "1",
                                              "--model", "flatten; linear 10", "--run", "run"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_NE(outcome.out.find(" training (all there are, less than --limit), "), std::string::npos) << outcome.out;
  const nlohmann::json config = nlohmann::json::parse(read_text(folder / "run/config.json"));
  EXPECT_LT(config.at("training_images"), 1000000);
  EXPECT_GT(config.at("test_images"), 0);
}

TEST(train, epoch_means_are_those_of_the_steps) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_convoy(folder, small_training({"--epochs", "1", "--batch", "64", "--run", "run"})).exit_code, 0);
  double sum = 0;
  const std::vector<nlohmann::json> steps = read_events(folder / "run", "step");
  for (size_t i = 0; i < steps.size(); ++i) sum += steps[i].at("loss").get<double>() * (i < 3 ? 64 : 200 - 3 * 64);
  // The log holds the shortest decimals that read back as the same float, so only the reader's double
  // rounding differs: 7 digits.
  EXPECT_NEAR(read_events(folder / "run", "epoch").at(0).at("train_loss").get<double>(), sum / 200, 1e-6 * sum / 200);
}

TEST(train, losses_are_byte_identical_for_any_number_of_threads_and_workers) {
  const TemporaryFolder folder;
  std::string reference;
  const auto check = [&](const std::string& threads, const std::string& workers) {
    SCOPED_TRACE("threads " + threads + ", workers " + workers);
    const std::string run = "run-" + threads + "-" + workers;
    const Outcome outcome = run_convoy(
        folder, small_training({"--model",   kRichModel,    "--augment", "on",    "--batch", "37",         "--epochs",
                                "1",         "--optimizer", "sgd",       "--lr",  "0.05",    "--nesterov", "on",
                                "--threads", threads,       "--workers", workers, "--run",   run}));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
    const std::string steps = step_lines(folder / run);
    if (reference.empty()) reference = steps;
    EXPECT_EQ(std::count(steps.begin(), steps.end(), '\n'), 6);
    EXPECT_EQ(steps, reference);
    const std::vector<nlohmann::json> summary = read_events(folder / run, "summary"),
                                      first = read_events(folder / "run-1-0", "summary");
    EXPECT_EQ(summary.at(0).at("validation_loss"), first.at(0).at("validation_loss"));
  };
  check("1", "0");
  for (const char* threads : {"2", "3", "5"}) check(threads, "0");
  for (const char* workers : {"1", "4"}) check("2", workers);
}

TEST(train, the_seed_decides_the_losses) {
  const TemporaryFolder folder;
  for (const char* seed : {"1", "2"}) {
    ASSERT_EQ(run_convoy(folder, small_training({"--steps", "2", "--seed", seed, "--run", seed})).exit_code, 0);
  }
  EXPECT_NE(step_lines(folder / "1"), step_lines(folder / "2"));
}

TEST(train, output_into_a_file_has_no_control_characters) {
  const TemporaryFolder folder;
  const Outcome outcome = run_convoy(folder, small_training({"--epochs", "2"}));
  ASSERT_EQ(outcome.exit_code, 0);
  for (const char letter : outcome.out + outcome.error)
    ASSERT_TRUE(letter == '\n' || static_cast<unsigned char>(letter) >= 32) << outcome.out;
  EXPECT_TRUE(outcome.error.empty()) << outcome.error;
  EXPECT_NE(outcome.out.find("epoch 2/2"), std::string::npos);
  EXPECT_NE(outcome.out.find("validation accuracy"), std::string::npos);
}

TEST(train, without_holdout_the_test_set_decides) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_convoy(folder, {"train", "--dataset", "synthetic", "--steps", "1", "--run", "run"}).exit_code, 0);
  const nlohmann::json summary = read_events(folder / "run", "summary").at(0);
  EXPECT_TRUE(summary.at("test_accuracy").is_number() && summary.at("test_loss").is_number()) << summary;
}

TEST(train, without_any_data_it_says_so_and_takes_synthetic_digits) {
  const TemporaryFolder folder;
  const Outcome outcome = run_convoy(folder, {"train", "--limit", "64", "--epochs", "1"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_NE(outcome.out.find("MNIST was not found"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("train-images-idx3-ubyte"), std::string::npos) << outcome.out;
}

TEST(train, an_existing_run_is_never_overwritten) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_convoy(folder, small_training({"--steps", "1", "--run", "run"})).exit_code, 0);
  const std::string before = read_text(folder / "run/metrics.jsonl");
  const Outcome again = run_convoy(folder, small_training({"--steps", "2", "--run", "run"}));
  EXPECT_EQ(again.exit_code, 5);
  EXPECT_EQ(again.error,
            "convoy: --run run: holds a run already, which is never overwritten; name a new folder, or go on with that "
            "run: convoy train --resume run\n");
  EXPECT_EQ(read_text(folder / "run/metrics.jsonl"), before);
  fs::remove_all(folder / "run/checkpoints");
  EXPECT_EQ(run_convoy(folder, small_training({"--run", "run"})).error,
            "convoy: --run run: is not empty; an earlier run is never overwritten, name a new folder\n");
}

TEST(train, runs_without_a_name_get_folders_of_their_own) {
  const TemporaryFolder folder;
  for (int i = 0; i < 3; ++i)
    ASSERT_EQ(run_convoy(folder, small_training({"--steps", "1", "--model", "flatten; linear 10"})).exit_code, 0);
  int runs = 0;
  for (const fs::directory_entry& run : fs::directory_iterator(folder / "runs")) {
    EXPECT_EQ(run.path().filename().string().rfind("custom-synthetic-", 0), 0u) << run.path();
    ++runs;
  }
  EXPECT_EQ(runs, 3);
}

TEST(train, steps_ends_a_run_in_mid_epoch_with_an_evaluation) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_convoy(folder, {"train", "--dataset", "synthetic", "--steps", "3", "--log-every", "2", "--run", "run"})
                .exit_code,
            0);
  const std::vector<nlohmann::json> steps = read_events(folder / "run", "step");
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_EQ(steps[0].at("step"), 2);
  EXPECT_EQ(read_events(folder / "run", "epoch").size(), 1u);
  EXPECT_EQ(read_events(folder / "run", "summary").size(), 1u);
}

TEST(train, logs_enough_steps_of_a_short_training_to_see_a_curve) {
  const TemporaryFolder folder;
  const auto lines_of = [&](const std::string& run, const std::string& steps) {
    const Outcome outcome =
        run_convoy(folder, {"train", "--dataset", "synthetic", "--model", "flatten; linear 10", "--limit", "200",
                            "--batch", "10", "--epochs", "60", "--steps", steps, "--plots", "off", "--run", run});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
    return read_events(folder / run, "step");
  };
  EXPECT_EQ(lines_of("thirty", "30").size(), 30u);
  EXPECT_EQ(lines_of("hundred", "100").at(0).at("step"), 5);
  EXPECT_EQ(lines_of("many", "1100").at(0).at("step"), 50);
}

TEST(train, an_epoch_cut_by_steps_tells_its_part) {
  const TemporaryFolder folder;
  const Outcome outcome = run_convoy(folder, small_training({"--batch", "10", "--steps", "30", "--epochs", "5"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_NE(outcome.out.find("\nepoch 1/2  train loss"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("\nepoch 2/2 (10 of 20 steps)  train loss"), std::string::npos) << outcome.out;
}

TEST(train, a_held_out_part_is_called_validation) {
  const TemporaryFolder folder;
  const Outcome outcome = run_convoy(folder, small_training({"--steps", "2", "--run", "run"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  const nlohmann::json summary = read_events(folder / "run", "summary").at(0);
  EXPECT_TRUE(summary.contains("validation_accuracy") && summary.contains("validation_loss")) << summary;
  EXPECT_FALSE(summary.contains("test_accuracy"));
  // Percent of 300 images.
  const double images = summary.at("validation_accuracy").get<double>() * 3;
  EXPECT_NEAR(images, std::round(images), 1e-9);
  EXPECT_NE(outcome.out.find("300 validation images"), std::string::npos) << outcome.out;
}

TEST(train, a_loss_that_is_not_finite_stops_naming_step_and_layer) {
  const TemporaryFolder folder;
  const Outcome outcome =
      run_convoy(folder, small_training({"--model", "mnist-cnn", "--lr", "1e30", "--run", "run", "--save", "weights"}));
  EXPECT_EQ(outcome.exit_code, 4);
  EXPECT_EQ(outcome.error.rfind("convoy: step 2 (epoch 1): the loss is ", 0), 0u) << outcome.error;
  // Adam's first update puts about lr into every weight: 1e30 after conv1 is finite, its products with fc1's
  // weights are not.
  EXPECT_NE(outcome.error.find("output of layer 'fc1'"), std::string::npos) << outcome.error;
  EXPECT_NE(outcome.error.find("try a --lr below 1e+30"), std::string::npos) << outcome.error;
  EXPECT_EQ(read_events(folder / "run").back().at("event"), "failed");
  EXPECT_FALSE(fs::exists(folder / "weights"));
}

TEST(train, saved_weights_go_on_where_they_were) {
  const TemporaryFolder folder;
  const std::vector<std::string> model{"--model", kRichModel};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), model.begin(), model.end());
    return more;
  };
  ASSERT_EQ(
      run_convoy(folder, small_training(with({"--epochs", "2", "--run", "a", "--save", "w.safetensors"}))).exit_code,
      0);
  const Outcome eval =
      run_convoy(folder, with({"eval", "--dataset", "synthetic", "--holdout", "300", "--init", "w.safetensors"}));
  ASSERT_EQ(eval.exit_code, 0) << eval.error;
  const nlohmann::json summary = read_events(folder / "a", "summary").at(0);
  char told[80];
  std::snprintf(told, sizeof told, "validation loss %.4f, validation accuracy %.2f %%",
                summary.at("validation_loss").get<double>(), summary.at("validation_accuracy").get<double>());
  EXPECT_NE(eval.out.find(told), std::string::npos) << eval.out << told;
  // With the trained weights the first loss is another than with fresh ones.
  ASSERT_EQ(
      run_convoy(folder, small_training(with({"--steps", "1", "--run", "b", "--init", "w.safetensors"}))).exit_code, 0);
  EXPECT_NE(read_events(folder / "b", "step").at(0).at("loss"), read_events(folder / "a", "step").at(0).at("loss"));
}

// What `script` exits with in `folder`; $CONVOY is the command, its stderr goes into the file err.
int run_script(const TemporaryFolder& folder, const std::string& script) {
  const std::string all = "cd " + folder.path().string() + "; CONVOY='" + kConvoy + "'; exec 2> err; " + script;
  return WEXITSTATUS(std::system(all.c_str()));
}

TEST(train, begins_with_the_best_checkpoint_and_the_model_of_the_run_that_init_names) {
  const TemporaryFolder folder;
  ASSERT_EQ(
      run_convoy(folder, small_training({"--model", "flatten; linear 10", "--seed", "5", "--run", "a"})).exit_code, 0);
  const std::string best = "a/checkpoints/best.safetensors";
  const Outcome by_folder = run_convoy(folder, {"train", "--init", "a", "--limit", "200", "--steps", "1", "--log-every",
                                                "1", "--plots", "off", "--run", "b"});
  ASSERT_EQ(by_folder.exit_code, 0) << by_folder.error;
  EXPECT_EQ(by_folder.out.find("MNIST was not found"), std::string::npos) << by_folder.out;
  const Outcome by_file = run_convoy(folder, small_training({"--model", "flatten; linear 10", "--seed", "5", "--init",
                                                             best, "--steps", "1", "--run", "c"}));
  ASSERT_EQ(by_file.exit_code, 0) << by_file.error;
  EXPECT_EQ(step_lines(folder / "b"), step_lines(folder / "c"));
  const auto config = nlohmann::json::parse(read_text(folder / "b" / "config.json"));
  EXPECT_EQ(config.at("model"), "flatten; linear 10");
  EXPECT_EQ(config.at("dataset"), "synthetic");
  EXPECT_EQ(config.at("holdout"), 300);
  EXPECT_EQ(config.at("seed"), 5);
}

TEST(train, a_failure_before_the_first_step_leaves_the_name_of_the_run_free) {
  const TemporaryFolder folder;
  // Weights of NaN: the first loss is one.
  ASSERT_EQ(run_convoy(folder, small_training({"--steps", "1", "--run", "a", "--save", "w"})).exit_code, 0);
  std::string weights = read_text(folder / "w");
  std::fill(weights.end() - 4000, weights.end(), '\xff');
  std::ofstream(folder / "w", std::ios::binary) << weights;
  const Outcome outcome = run_convoy(folder, small_training({"--run", "b/c", "--init", "w"}));
  EXPECT_EQ(outcome.exit_code, 4);
  EXPECT_EQ(outcome.error.rfind("convoy: step 1 (epoch 1): the loss is nan: ", 0), 0u) << outcome.error;
  EXPECT_NE(outcome.error.find("the weights are those of w"), std::string::npos) << outcome.error;
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"a", "w"}));
  EXPECT_EQ(run_convoy(folder, small_training({"--steps", "1", "--run", "b/c"})).exit_code, 0);
}

TEST(train, a_full_disk_leaves_whole_lines) {
  const TemporaryFolder folder;
  // Files of at most 4 KiB or less, as the shell counts: room for config.json, not for 200 steps of 60 bytes.
  EXPECT_EQ(run_script(folder,
                       "trap '' XFSZ; ulimit -f 4; \"$CONVOY\" train --dataset synthetic --model 'flatten; linear 10' "
                       "--limit 200 --holdout 300 --batch 1 --log-every 1 --run run > /dev/null"),
            5);
  EXPECT_NE(read_text(folder / "err").find("metrics.jsonl: cannot be written"), std::string::npos);
  EXPECT_GT(read_events(folder / "run").size(), 5u);  // each line is parsed
  EXPECT_EQ(read_text(folder / "run/metrics.jsonl").back(), '\n');
}

TEST(train, output_that_cannot_be_written_is_told_with_exit_code_5) {
  const TemporaryFolder folder;
  EXPECT_EQ(run_script(folder, "\"$CONVOY\" info > /dev/full"), 5);
  EXPECT_NE(read_text(folder / "err").find("standard output"), std::string::npos) << read_text(folder / "err");
}

TEST(train, a_path_that_is_not_utf_8_is_no_defect) {
  const TemporaryFolder folder;
  const Outcome outcome = run_convoy(folder, small_training({"--steps", "1", "--run", "r\xff"}));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_EQ(nlohmann::json::parse(read_text(folder / "r\xff/config.json")).at("run"), "r\uFFFD");
}

TEST(train, weights_may_lie_in_the_folder_of_the_run) {
  const TemporaryFolder folder;
  const Outcome outcome = run_convoy(folder, small_training({"--steps", "1", "--run", "run", "--save", "run/w"}));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_NE(outcome.out.find("weights  run/w (after step 1)\n"), std::string::npos) << outcome.out;
  EXPECT_TRUE(fs::exists(folder / "run/w"));
}

class Interrupted : public testing::TestWithParam<int> {};

TEST_P(Interrupted, run_ends_cleanly_with_log_and_weights) {
  const TemporaryFolder folder;
  Process process(folder, small_training({"--epochs", "100000", "--run", "run", "--save", "weights.safetensors"}));
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (step_lines(folder / "run").empty() && std::chrono::steady_clock::now() < give_up)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  process.send(GetParam());
  const Outcome outcome = process.wait();
  EXPECT_EQ(outcome.exit_code, 128 + GetParam()) << outcome.error;
  EXPECT_NE(outcome.out.find("interrupted after step"), std::string::npos) << outcome.out;
  const nlohmann::json last = read_events(folder / "run").back();
  EXPECT_EQ(last.at("event"), "interrupted");
  EXPECT_EQ(last.at("step"), read_events(folder / "run", "step").size());
  EXPECT_EQ(run_convoy(folder, {"eval", "--dataset", "synthetic", "--holdout", "300", "--init", "weights.safetensors"})
                .exit_code,
            0);
}

INSTANTIATE_TEST_SUITE_P(train, Interrupted, testing::Values(SIGINT, SIGTERM));

}  // namespace
}  // namespace convoy
