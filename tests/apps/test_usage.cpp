// Wrong use: one clear line, the documented exit code, nothing left behind.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>

#include "tests/apps/run_convoy.h"
#include "tests/apps/with_mpi.h"

namespace convoy {
namespace {

using Arguments = std::vector<std::string>;

struct Mistake {
  Arguments arguments;
  int exit_code;
  std::string told;  // part of the line on stderr
};

void expect_refused(const Mistake& mistake, const std::map<std::string, std::string>& environment = {}) {
  SCOPED_TRACE(nlohmann::json(mistake.arguments).dump());
  const TemporaryFolder folder;
  const Outcome outcome = run_convoy(folder, mistake.arguments, environment);
  EXPECT_EQ(outcome.exit_code, mistake.exit_code);
  EXPECT_EQ(outcome.error.rfind("convoy: ", 0), 0u) << outcome.error;
  EXPECT_NE(outcome.error.find(mistake.told), std::string::npos) << outcome.error;
  EXPECT_EQ(std::count(outcome.error.begin(), outcome.error.end(), '\n'), 1) << outcome.error;
  EXPECT_TRUE(folder.names().empty()) << "left behind: " << folder.names().front();
}

TEST(usage, unknown_names_are_refused_with_the_nearest_one) {
  for (const Mistake& mistake : std::vector<Mistake>{
           {{"trian"}, 2, "unknown command 'trian', did you mean 'train'?"},
           {{"data", "lst"}, 2, "did you mean 'list'?"},
           {{"--versoin"}, 2, "did you mean '--version'?"},
           {{"train", "--modle", "lenet5"}, 2, "unknown option '--modle', did you mean '--model'?"},
           {{"train", "--epoch=3"}, 2, "unknown option '--epoch', did you mean '--epochs'?"},
           {{"eval", "--weight-decay", "1"}, 2, "unknown option '--weight-decay'"},
           {{"train", "3"}, 2, "unknown argument '3'"},
           {{"train", "--dataset", "minst"}, 2, "did you mean 'mnist'?"},
           {{"train", "--dataset", "synthetic", "--model", "resnt18"}, 2, "did you mean 'resnet18'?"},
           {{"train", "--schedule", "cosin"}, 2, "did you mean 'cosine'?"},
           {{"train", "--optimizer", "adm"}, 2, "did you mean 'adam'?"},
           {{"summary", "--model", "lenet"}, 2, "did you mean 'lenet5'?"},
       }) {
    expect_refused(mistake);
  }
}

TEST(usage, strategies_that_make_no_sense_are_refused) {
  for (const Mistake& mistake : std::vector<Mistake>{
           {{"train", "--strategy", "dpd"}, 2, "unknown strategy 'dpd', did you mean 'ddp'?"},
           {{"train", "--strategy", "ddp", "--reduce", "trie"}, 2, "did you mean 'tree'?"},
           {{"train", "--ranks", "2"}, 2, "--ranks: has no effect with --strategy serial"},
           {{"train", "--strategy", "ddp", "--replicas", "2"}, 2, "--replicas: has no effect with --strategy ddp"},
           {{"train", "--reduce", "ring"},
            2,
            "--reduce: has no effect with --strategy serial, where nothing is summed"},
           {{"train", "--bucket-mb", "2"}, 2, "--bucket-mb: has no effect with --strategy serial"},
           {{"train", "--strategy", "ddp", "--shards", "8"}, 2, "--shards: has no effect with --reduce ring"},
           {{"train", "--reduce", "tree", "--shards", "6"}, 2, "--shards: 6 is not a power of two"},
           {{"train", "--strategy", "replicated", "--replicas", "3", "--reduce", "tree"},
            2,
            "--shards: 8 shards cannot be shared out evenly among 3 replicas; choose a power of two of each"},
           {{"train", "--batch", "4", "--accumulate", "5"},
            2,
            "--accumulate: 5 micro-batches of a --batch of 4, at least one image each is needed"},
           {{"train", "--strategy", "replicated", "--replicas", "5", "--batch", "4"},
            2,
            "--batch: 4 images for 5 replicas, some of which would have none in every step; choose a --batch of at "
            "least 5, or fewer --replicas"},
           {{"train", "--strategy", "replicated", "--replicas", "3", "--batch", "4", "--accumulate", "2"},
            2,
            "--batch: 2 images at a time (--accumulate) for 3 replicas, some of which would have none in every step; "
            "choose a --batch of at least 5, or fewer --replicas"},
           {{"train", "--strategy", "hybrid", "--ranks", "2", "--replicas", "2", "--batch", "1"},
            2,
            "--batch: 1 image for 2 ranks of 2 replicas, some of which would have none in every step; choose a --batch "
            "of at least 4, or fewer --ranks or --replicas"},
           {{"train", "--reduce", "tree", "--batch", "7"},
            2,
            "--batch: 7 images for 8 shards, some of which would have none in every step; choose a --batch of at least "
            "8, or fewer --shards"},
           {{"train", "--strategy", "replicated", "--reduce", "mpi"},
            2,
            "--reduce: has no effect with --strategy replicated, which has one rank; choose ring or tree"},
           {{"train", "--strategy", "ddp", "--reduce", "nccl"},
            2,
            "--reduce nccl: does not sum between CPUs; choose ring or tree"},
       }) {
    expect_refused(mistake);
  }
  expect_refused({{"train"}, 2, "--strategy serial: is one process, but mpirun or srun has started 2"},
                 {{"OMPI_COMM_WORLD_SIZE", "2"}});
}

TEST(usage, variables_of_a_job_that_make_no_sense_are_refused) {
  using Variables = std::map<std::string, std::string>;
  const std::string all = "; set RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT for each rank";
  const Variables good{{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "localhost"}, {"MASTER_PORT", "29500"}};
  const auto with = [&](const Variables& changed) {
    Variables variables = good;
    for (const auto& [name, value] : changed) variables[name] = value;
    return variables;
  };
  const std::vector<std::string> ddp{"train", "--strategy", "ddp"};
  for (const auto& [variables, told] : std::vector<std::pair<Variables, std::string>>{
           {{{"RANK", "0"}}, "WORLD_SIZE: is missing, but RANK is set" + all},
           {{{"WORLD_SIZE", "1"}}, "RANK: is missing, but WORLD_SIZE is set" + all},
           {with({{"MASTER_ADDR", ""}}), "MASTER_ADDR: is missing, but WORLD_SIZE is set" + all},
           {with({{"MASTER_PORT", ""}}), "MASTER_PORT: is missing, but WORLD_SIZE is set" + all},
           {with({{"RANK", "2"}}), "RANK: 2 in a job of WORLD_SIZE 2; ranks count from 0"},
           {with({{"RANK", "-1"}}), "RANK: '-1' is not a whole number from 0 to 65535"},
           {with({{"RANK", "1x"}}), "RANK: '1x' is not a whole number from 0 to 65535"},
           {with({{"WORLD_SIZE", "two"}}), "WORLD_SIZE: 'two' is not a whole number from 1 to 65536"},
           {with({{"MASTER_PORT", "99999"}}), "MASTER_PORT: '99999' is not a whole number from 1 to 65535"},
           {with({{"MASTER_PORT", "65535"}, {"TORCHELASTIC_USE_AGENT_STORE", "True"}}),
            "MASTER_PORT: '65535' is not a whole number from 1 to 65534"},
           {with({{"LOCAL_RANK", "2"}}), "LOCAL_RANK: '2' is not a whole number from 0 to 1"},
           {with({{"LOCAL_RANK", "1"}, {"LOCAL_WORLD_SIZE", "1"}}),
            "LOCAL_RANK: '1' is not a whole number from 0 to 0"},
           {with({{"LOCAL_WORLD_SIZE", "3"}}), "LOCAL_WORLD_SIZE: '3' is not a whole number from 1 to 2"},
       })
    expect_refused({ddp, 2, told}, variables);
  expect_refused({{"train"}, 2, "--strategy serial: is one process, but WORLD_SIZE says 2; choose ddp or hybrid"},
                 good);
  expect_refused({{"train", "--strategy", "replicated"}, 2, "but WORLD_SIZE says 2; choose ddp or hybrid"}, good);
  expect_refused({{"train", "--strategy", "ddp", "--ranks", "3"}, 2, "--ranks: 3, but WORLD_SIZE says 2"}, good);
  expect_refused(
      {{"train", "--strategy", "ddp", "--reduce", "mpi"},
       2,
       "--reduce mpi: needs ranks that mpirun or srun has started, but WORLD_SIZE says 2; choose ring or tree"},
      good);
  expect_refused({{"compare"}, 2, "compare: starts its own ranks; run it without mpirun or srun, and without RANK"},
                 good);
}

TEST(usage, numbers_that_make_no_sense_are_refused) {
  for (const Mistake& mistake : std::vector<Mistake>{
           {{"train", "--batch", "0"}, 2, "--batch: 0 is too small, the least is 1"},
           {{"train", "--batch", "-1"}, 2, "--batch: -1 is too small"},
           {{"train", "--batch", "64x"}, 2, "--batch: '64x' is not a whole number"},
           {{"train", "--batch", "6.4"}, 2, "--batch: '6.4' is not a whole number"},
           {{"train", "--batch", ""}, 2, "--batch: '' is not a whole number"},
           {{"train", "--batch", "99999999999999999999"}, 2, "out of range"},
           {{"train", "--epochs", "0"}, 2, "--epochs: 0 is too small"},
           {{"train", "--patience", "-1"}, 2, "--patience: -1 is too small, the least is 0"},
           {{"train", "--steps", "0"}, 2, "--steps: 0 is too small"},
           {{"train", "--limit", "0"}, 2, "--limit: 0 is too small"},
           {{"train", "--log-every", "0"}, 2, "--log-every: 0 is too small"},
           {{"train", "--threads", "0"}, 2, "--threads: 0 is too small"},
           {{"train", "--threads", "100000"}, 2, "--threads: 100000 is too large"},
           {{"train", "--workers", "-1"}, 2, "--workers: -1 is too small"},
           {{"train", "--seed", "-1"}, 2, "--seed: -1 is too small"},
           {{"train", "--holdout", "-1"}, 2, "--holdout: -1 is too small"},
           {{"train", "--lr", "nan"}, 2, "--lr: nan is not"},
           {{"train", "--lr", "inf"}, 2, "--lr: inf is not"},
           {{"train", "--lr", "0"}, 2, "--lr: 0 is not"},
           {{"train", "--lr", "1e99"}, 2, "--lr: 1e99 is out of range"},
           {{"train", "--momentum", "1"}, 2, "--momentum: 1 is not in [0, 1)"},
           {{"train", "--label-smoothing", "-0.1"}, 2, "--label-smoothing: -0.1 is not in [0, 1)"},
           {{"train", "--ema", "1"}, 2, "--ema: 1 is not in [0, 1)"},
           {{"train", "--clip-norm", "-1"}, 2, "--clip-norm: -1 is not a finite number, at least 0"},
           {{"train", "--weight-decay", "-1"}, 2, "--weight-decay: -1 is not"},
           {{"train", "--bucket-mb", "1e30"}, 2, "--bucket-mb: 1e30 is not from 0.001 to 65536"},
           {{"train", "--step-factor", "0"}, 2, "--step-factor: 0 is not"},
           {{"train", "--augment", "yes"}, 2, "--augment: 'yes' is neither on nor off"},
       }) {
    expect_refused(mistake);
  }
}

TEST(usage, incomplete_and_contradictory_command_lines_are_refused) {
  for (const Mistake& mistake : std::vector<Mistake>{
           {{}, 2, "a command is missing after 'convoy', one of: train"},
           {{"data"}, 2, "a command is missing after 'convoy data', one of: list"},
           {{"train", "--lr"}, 2, "--lr: takes exactly one value"},
           {{"train", "--lr", "1", "--lr", "2"}, 2, "--lr: takes exactly one value"},
           {{"train", "--momentum", "0.5"}, 2, "--momentum: has no effect with --optimizer adam"},
           {{"train", "--step-every", "5"}, 2, "--step-every: has no effect with --schedule"},
           {{"eval"}, 2, "--init"},
       }) {
    expect_refused(mistake);
  }
}

TEST(usage, stray_arguments_before_a_command_and_second_commands_are_refused) {
  for (const Mistake& mistake : std::vector<Mistake>{
           {{"--threads", "2", "train"}, 2, "unknown option '--threads', it belongs behind 'train'"},
           {{"foo", "train"}, 2, "unknown argument 'foo'"},
           {{"data", "--data", "x", "list"}, 2, "unknown option '--data'"},
           {{"train", "--", "x"}, 2, "'x'"},
           {{"train", "eval"}, 2, "unknown argument 'eval'"},
           {{"train", "train"}, 2, "unknown argument 'train'"},
       }) {
    expect_refused(mistake);
  }
}

TEST(usage, settings_that_cannot_train_are_refused_before_the_run_exists) {
  for (const Mistake& mistake : std::vector<Mistake>{
           {small_training({"--optimizer", "sgd", "--nesterov", "on", "--momentum", "0"}), 2, "--nesterov on"},
           {small_training({"--model", "flatten; linear 9; bn; linear 10", "--batch", "199"}), 2, "step 2: its batch"},
           {small_training({"--model", "flatten; linear 9; bn; linear 10", "--batch", "1"}), 2, "another --batch"},
           {small_training({"--schedule", "cosine", "--warmup-steps", "4"}), 2, "--warmup-steps: 4"},
           {small_training({"--data", "/nowhere"}), 2, "--data: has no effect with --dataset synthetic"},
           {small_training({"--optimizer", "SGD"}), 2, "did you mean 'sgd'?"},
       }) {
    expect_refused(mistake);
  }
  expect_refused({{"info"}, 2, "OMP_NUM_THREADS: '2000' is not a whole number from 1 to 1024"},
                 {{"OMP_NUM_THREADS", "2000"}});
}

TEST(usage, a_description_that_does_not_fit_is_refused_pointing_at_the_place) {
  const TemporaryFolder folder;
  const Outcome outcome = run_convoy(folder, small_training({"--model", "conv 8 3x3; flatten; linear 11"}));
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.error.find("11 features, the data set has 10 classes"), std::string::npos) << outcome.error;
  EXPECT_NE(outcome.error.find("                       ^\n"), std::string::npos) << outcome.error;
  EXPECT_TRUE(folder.names().empty());
}

TEST(usage, missing_and_damaged_inputs_are_told_with_exit_code_3) {
  const TemporaryFolder inputs;
  std::ofstream(inputs / "weights.safetensors") << "nonsense";
  std::filesystem::create_directory(inputs / "mnist");
  std::ofstream(inputs / "mnist/train-images-idx3-ubyte") << "nonsense";
  const std::string weights = (inputs / "weights.safetensors").string();
  for (const Mistake& mistake : std::vector<Mistake>{
           {{"train", "--dataset", "mnist"}, 3, "mnist: not found"},
           {{"train", "--data", inputs.path().string()}, 3, "mnist"},
           {{"train", "--dataset", "cifar10", "--data", "/nowhere"},
            3,
            "--data /nowhere: there is no such folder; name the one that cifar10 is in"},
           {{"train", "--data", "/nowhere"}, 3, "--data /nowhere: there is no such folder"},
           {small_training({"--init", "nowhere.safetensors"}), 3, "nowhere.safetensors"},
           {small_training({"--init", weights}), 3, "weights.safetensors"},
           {{"eval", "--dataset", "synthetic", "--init", weights}, 3, "weights.safetensors"},
       }) {
    expect_refused(mistake);
  }
}

TEST(usage, outputs_that_cannot_be_written_are_told_before_training_with_exit_code_5) {
  for (const Mistake& mistake : std::vector<Mistake>{
           {small_training({"--save", "no/such/folder/weights"}), 5, "no/such/folder/weights: cannot be written"},
           {small_training({"--save", "."}), 5, "is a folder"},
           {small_training({"--save", "new/"}), 5, "the name of a file in it is wanted"},
           {small_training({"--save", "/dev/null"}), 5, "not an ordinary file"},
           {small_training({"--save", std::string(300, 'w')}), 5, "File name too long"},
           {small_training({"--save", "run", "--run", "./run"}), 5, "is the folder of --run"},
           {small_training({"--save", "both", "--trace", "./both", "--strategy", "replicated"}), 2,
            "--save and --trace: both name both"},
           {small_training({"--save", "run/config.json", "--run", "run"}), 5, "the run itself writes this file"},
           {small_training({"--run", "/proc/run"}), 5, "/proc/run"},
           {small_training({"--run", "/dev/null"}), 5, "is not a folder"},
       }) {
    expect_refused(mistake);
  }
}

TEST(UsageRanks, outputs_that_cannot_be_written_are_told_before_ranks_are_started) {
  if (!with_mpi()) GTEST_SKIP() << kWithoutMpi;
  // Where there is no mpirun: an attempt to start it would be the error that is told.
  const std::map<std::string, std::string> no_mpirun{{"PATH", "/nowhere"}};
  for (const auto& [option, value, told] :
       {std::array{"--save", "no/such/folder/weights", "no/such/folder/weights: cannot be written"},
        std::array{"--trace", "no/such/folder/trace", "no/such/folder/trace: cannot be written"},
        std::array{"--save", ".", "is a folder"}, std::array{"--run", "/dev/null", "is not a folder"},
        std::array{"--run", "/proc/run", "/proc/run"}})
    expect_refused({small_training({"--strategy", "ddp", "--ranks", "2", option, value}), 5, told}, no_mpirun);
  expect_refused({small_training({"--strategy", "ddp", "--ranks", "2", "--save", "weights"}), 2, "mpirun: not found"},
                 no_mpirun);
}

TEST(usage, a_closed_standard_output_is_told_and_nothing_of_it_gets_into_a_file) {
  const TemporaryFolder folder;
  const std::filesystem::path script = folder / "closed.sh";
  std::ofstream(script) << "#!/bin/sh\nexec " << kConvoy << " \"$@\" >&-\n";
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  const Outcome outcome = run_convoy(folder, small_training({"--run", "run"}), {}, script.c_str());
  EXPECT_EQ(outcome.exit_code, 5);
  EXPECT_EQ(outcome.error, "convoy: standard output: cannot be written: Bad file descriptor\n");
  EXPECT_EQ(read_events(folder / "run").back().at("event"), "summary");
}

TEST(usage, an_unknown_instruction_set_is_a_device_error) {
  expect_refused({small_training({}), 6, "no 'sse9'"}, {{"CONVOY_ISA", "sse9"}});
  expect_refused({{"info"}, 6, "no 'sse9'"}, {{"CONVOY_ISA", "sse9"}});
}

TEST(usage, help_lists_every_option_with_the_choices_and_the_exit_codes) {
  const TemporaryFolder folder;
  const Outcome general = run_convoy(folder, {"--help"}), train = run_convoy(folder, {"train", "--help"});
  EXPECT_EQ(general.exit_code, 0);
  EXPECT_EQ(train.exit_code, 0);
  for (const char* word : {"train", "eval", "summary", "info", "data", "Exit codes", "130"}) {
    EXPECT_NE(general.out.find(word), std::string::npos) << word;
  }
  for (const char* word : {"--model",    "--dataset",      "--data",       "--epochs",      "--batch",
                           "--lr",       "--optimizer",    "--momentum",   "--nesterov",    "--weight-decay",
                           "--schedule", "--warmup-steps", "--step-every", "--step-factor", "--label-smoothing",
                           "--seed",     "--threads",      "--workers",    "--augment",     "--shuffle",
                           "--holdout",  "--limit",        "--steps",      "--log-every",   "--run",
                           "--init",     "--save",         "--config",     "--clip-norm",   "--ema",
                           "--patience", "--dry-run",      "--profile",    "resnet18",      "cifar10",
                           "one-cycle",  "adamw",          "maxpool"}) {
    EXPECT_NE(train.out.find(word), std::string::npos) << word;
  }
}

TEST(usage, help_fits_80_columns_when_piped) {
  const TemporaryFolder folder;
  for (const Arguments& command : std::vector<Arguments>{{},
                                                         {"train"},
                                                         {"compare"},
                                                         {"eval"},
                                                         {"predict"},
                                                         {"runs"},
                                                         {"report"},
                                                         {"find-lr"},
                                                         {"summary"},
                                                         {"export"},
                                                         {"import"},
                                                         {"info"},
                                                         {"data"},
                                                         {"data", "list"},
                                                         {"data", "show"}}) {
    Arguments arguments = command;
    arguments.push_back("--help");
    std::istringstream lines(run_convoy(folder, arguments).out);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
  }
}

TEST(usage, help_names_the_model_that_each_data_set_has_by_default) {
  const TemporaryFolder folder;
  std::istringstream words(run_convoy(folder, {"train", "--help"}).out);
  std::string help;
  for (std::string word; words >> word;) help += word + " ";
  for (const char* pair : {"lenet5 for mnist", "cifar-cnn for cifar10", "lenet5 for synthetic"})
    EXPECT_NE(help.find(pair), std::string::npos) << pair << "\n" << help;
  EXPECT_EQ(help.find("resnet18 for"), std::string::npos) << "not the first recipe of cifar10";
}

TEST(usage, help_is_a_command_too) {
  const TemporaryFolder folder;
  EXPECT_EQ(run_convoy(folder, {"help"}).out, run_convoy(folder, {"--help"}).out);
  EXPECT_EQ(run_convoy(folder, {"help", "data", "fetch"}).out, run_convoy(folder, {"data", "fetch", "--help"}).out);
}

TEST(usage, help_of_a_command_tells_what_its_own_options_do) {
  const TemporaryFolder folder;
  const std::string eval = run_convoy(folder, {"eval", "--help"}).out,
                    train = run_convoy(folder, {"train", "--help"}).out,
                    summary = run_convoy(folder, {"summary", "--help"}).out;
  EXPECT_NE(eval.find("maxpool"), std::string::npos) << "the grammar that --model speaks of: " << eval;
  EXPECT_NE(eval.find("required: the weights"), std::string::npos) << eval;
  EXPECT_EQ(eval.find("optimizer step"), std::string::npos) << eval;
  EXPECT_EQ(train.find("--augment on|off ["), std::string::npos) << train;
  EXPECT_EQ(summary.find("else synthetic"), std::string::npos) << summary;
}

}  // namespace
}  // namespace convoy
