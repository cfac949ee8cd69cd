// Runs as their folders tell of them: how they ended, torn and damaged logs, the command to repeat them.
#include "apps/run_record.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include "apps/repeat_command.h"
#include "tensor/error.h"
#include "tests/apps/run_convoy.h"
#include "tests/apps/run_folders.h"

namespace convoy {
namespace {

std::string error_of_reading(const std::filesystem::path& run) {
  try {
    read_run_record(run);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    return error.what();
  }
  return "";
}

TEST(run_record, a_run_that_has_come_to_its_end) {
  const TemporaryFolder folder;
  write_run(folder / "a", 90);
  const RunRecord run = read_run_record(folder / "a/");
  EXPECT_EQ(run.name(), "a");
  EXPECT_EQ(run.state, RunState::done);
  EXPECT_EQ(run.steps.size(), 4u);
  EXPECT_EQ(run.epochs_done(), 2);
  EXPECT_EQ(run.planned_epochs(), 2);
  EXPECT_EQ(run.steps_per_epoch(), 2);
  EXPECT_EQ(run.evaluation()->accuracy, 90);
  EXPECT_EQ(run.seconds(), 1);
  EXPECT_EQ(run.samples_per_second(), 400);
  EXPECT_EQ(run.config.facts.parameters, 61706);
  const RunRecord without_steps = read_run_record(folder / "a", WithSteps::no);
  EXPECT_TRUE(without_steps.steps.empty());
  EXPECT_EQ(without_steps.epochs.size(), 2u);
  EXPECT_EQ(without_steps.state, RunState::done);
}

TEST(run_record, the_last_line_tells_how_it_ended) {
  const TemporaryFolder folder;
  const std::filesystem::path run = folder / "a";
  write_config(run);
  const auto state = [&](const std::string& end) {
    write_log(run, step_line(1, 2.3) + epoch_log_line(1, 50) + end);
    const RunState with = read_run_record(run).state;
    EXPECT_EQ(read_run_record(run, WithSteps::no).state, with);
    return with;
  };
  const std::string interrupted = R"({"event":"interrupted","step":3,"epoch":1,"seconds":1,"samples_per_second":400})"
                                  "\n";
  EXPECT_EQ(state(""), RunState::killed);
  EXPECT_EQ(state(interrupted), RunState::interrupted);
  EXPECT_EQ(read_run_record(run).steps_done(), 3);
  EXPECT_EQ(state(interrupted + step_line(2, 1)), RunState::killed);
  EXPECT_EQ(state(summary_line(90)), RunState::done);
  EXPECT_EQ(state("{\"event\":\"failed\",\"message\":\"the loss is nan\"}\n"), RunState::failed);
  EXPECT_EQ(read_run_record(run).end->message, "the loss is nan");
  EXPECT_EQ(read_run_record(run).samples_per_second(), 400);  // an epoch of 200 images in half a second
  EXPECT_EQ(state("{\"event\":\"of a later version\"}\n"), RunState::killed);

  const int file = open((run / "metrics.jsonl").c_str(), O_WRONLY);
  ASSERT_EQ(flock(file, LOCK_EX), 0);
  EXPECT_EQ(state(interrupted), RunState::running);
  EXPECT_EQ(state(summary_line(90)), RunState::done) << "but for its pictures";
  close(file);
}

TEST(run_record, a_last_line_that_is_not_whole_is_left_out_and_told) {
  const TemporaryFolder folder;
  const std::filesystem::path run = folder / "a";
  write_config(run);
  const std::string whole = step_line(1, 2.3) + epoch_log_line(1, 50), last = epoch_log_line(2, 60);
  for (size_t size = 1; size < last.size() - 1; ++size) {
    write_log(run, whole + last.substr(0, size));
    const RunRecord record = read_run_record(run);
    EXPECT_EQ(record.epochs.size(), 1u) << size;
    EXPECT_EQ(record.torn, (run / "metrics.jsonl").string() + ":3: the last line is not whole, and left out");
    EXPECT_EQ(record.state, RunState::killed);
  }
  write_log(run, whole + last.substr(0, last.size() - 1));
  EXPECT_EQ(read_run_record(run).epochs.size(), 2u) << "all there but its end";
  write_log(run, "");
  EXPECT_TRUE(read_run_record(run).torn.empty());
}

TEST(run_record, what_makes_no_sense_is_told_by_file_and_line) {
  const TemporaryFolder folder;
  const std::filesystem::path run = folder / "a";
  EXPECT_EQ(error_of_reading(run),
            (run / "config.json").string() + ": cannot be read; is " + run.string() + " the folder of a run?");
  write_config(run);
  const std::string log = (run / "metrics.jsonl").string();
  EXPECT_EQ(error_of_reading(run), log + ": cannot be read; is " + run.string() + " the folder of a run?");
  write_log(run, step_line(1, 2.3) + "{\"event\":\"st\n" + step_line(2, 2));
  EXPECT_EQ(error_of_reading(run), log + ":2: is not a JSON object");
  write_log(run, step_line(1, 2.3) + "{\"event\":\"step\",\"step\":2}\n");
  EXPECT_EQ(error_of_reading(run), log + ":2: is not what convoy train writes: key 'epoch' not found");
  write_log(run, step_line(1, 2.3) + "{\"event\":\"epoch\",\"epoch\":\"one\"}\n");
  EXPECT_NE(error_of_reading(run).find(log + ":2: is not what convoy train writes: "), std::string::npos);
  write_log(run, step_line(1, 2.3) + "[]\n");
  EXPECT_NE(error_of_reading(run).find(log + ":2: is not what convoy train writes: "), std::string::npos);
}

TEST(repeat_command, has_what_differs_from_the_recipe) {
  const auto command = [](const GivenOptions& given) { return repeat_command(resolve(given)); };
  EXPECT_EQ(command({{"--dataset", "synthetic"}}), "convoy train --dataset synthetic --model lenet5");
  EXPECT_EQ(
      command({{"--dataset", "synthetic"}, {"--model", "flatten; linear 10"}, {"--run", "x"}, {"--threads", "3"}}),
      "convoy train --dataset synthetic --model 'flatten; linear 10'");
  EXPECT_EQ(command({{"--dataset", "cifar10"},
                     {"--optimizer", "sgd"},
                     {"--momentum", "0.5"},
                     {"--augment", "off"},
                     {"--seed", "7"}}),
            "convoy train --dataset cifar10 --model cifar-cnn --augment off --optimizer sgd --momentum 0.5 --seed 7");
  EXPECT_EQ(command({{"--dataset", "synthetic"}, {"--strategy", "replicated"}, {"--replicas", "3"}, {"--batch", "4"}}),
            "convoy train --dataset synthetic --model lenet5 --batch 4 --strategy replicated --replicas 3");
}

TEST(repeat_command, given_again_comes_to_the_same_settings) {
  for (const GivenOptions& given : std::vector<GivenOptions>{
           {{"--dataset", "synthetic"},
            {"--strategy", "ddp"},
            {"--ranks", "2"},
            {"--reduce", "tree"},
            {"--shards", "4"}},
           {{"--dataset", "synthetic"},
            {"--reduce", "tree"},
            {"--lr", "0.1"},
            {"--schedule", "step"},
            {"--step-every", "9"}},
           {{"--dataset", "mnist"}, {"--label-smoothing", "0.1"}, {"--steps", "12"}, {"--accumulate", "2"}},
       }) {
    const std::string command = repeat_command(resolve(given));
    SCOPED_TRACE(command);
    GivenOptions again;
    std::istringstream words(command.substr(std::string("convoy train ").size()));
    for (std::string name, text; words >> name >> text;) again[name] = text;
    EXPECT_EQ(repeat_command(resolve(again)), command);
    for (const auto& [name, text] : given) EXPECT_EQ(again[name], text);
  }
}

}  // namespace
}  // namespace convoy
