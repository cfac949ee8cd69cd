// `--config FILE`: options from a TOML file or from the config.json of an earlier run.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/apps/run_convoy.h"
#include "tests/apps/with_mpi.h"

namespace convoy {
namespace {

using Arguments = std::vector<std::string>;

const char* const kSmall = R"(# A training of a moment.
dataset = "synthetic"
model = "flatten; linear 10"   # a description
limit = 100
holdout = 50
epochs = 1
lr = 2e-3
label_smoothing = 0.125
augment = true
shuffle = "off"
)";

void write(const TemporaryFolder& folder, const std::string& name, const std::string& text) {
  std::ofstream(folder / name, std::ios::binary) << text;
}

nlohmann::json config_of(const TemporaryFolder& folder, const std::string& run) {
  return nlohmann::json::parse(read_text(folder / run / "config.json"));
}

TEST(config_file, toml_overrules_recipes_and_is_overruled_by_what_is_typed) {
  const TemporaryFolder folder;
  write(folder, "small.toml", kSmall);
  const Outcome outcome =
      run_convoy(folder, {"train", "--config", "small.toml", "--batch", "50", "--limit", "60", "--run", "run"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  const nlohmann::json config = config_of(folder, "run");
  EXPECT_EQ(config.at("model"), "flatten; linear 10");
  EXPECT_EQ(config.at("lr"), 2e-3);
  EXPECT_EQ(config.at("label_smoothing"), 0.125);
  EXPECT_EQ(config.at("augment"), "on");
  EXPECT_EQ(config.at("shuffle"), "off");
  EXPECT_EQ(config.at("epochs"), 1);  // the program's default is another
  EXPECT_EQ(config.at("batch"), 50);
  EXPECT_EQ(config.at("limit"), 60);
  EXPECT_FALSE(config.contains("config"));
  // Between a recipe, which says one-cycle, and the command line, which says nothing.
  write(folder, "other.toml", "dataset = 'synthetic'\nlimit = 70\nholdout = 50\nschedule = 'cosine'\n");
  ASSERT_EQ(run_convoy(folder, {"train", "--config", "other.toml", "--run", "other"}).exit_code, 0);
  EXPECT_EQ(config_of(folder, "other").at("schedule"), "cosine");
  EXPECT_EQ(config_of(folder, "other").at("lr"), 3e-3);
}

TEST(config_file, mistakes_are_told_with_file_line_and_the_nearest_name) {
  const struct {
    const char *text, *told;
  } mistakes[] = {
      {"batch = 64\n\nbacth = 3\n", "convoy: bad.toml:3: unknown setting 'bacth', did you mean 'batch'?"},
      {"zzzzzzzzzz = 1\n", "convoy: bad.toml:1: unknown setting 'zzzzzzzzzz'\n"},
      {"batch = 64\nmodle.name = 1\n",
       "convoy: bad.toml:2: 'modle' is a section; all settings stand in one list, without any, did you mean "
       "'model'?"},
      {"batch = 64\nmodel = {name = 1}\n",
       "convoy: bad.toml:2: 'model' is a section; all settings stand in one list, without any\n"},
      {"batch=[[[[}\n", "convoy: bad.toml: this is no TOML\n"},
      {"batch.x = 1\n", "convoy: bad.toml:1: 'batch' is a section; "},
      {"batch = 64\n\n [model]\nname = 1\n",
       "convoy: bad.toml:3: 'model' is a section; all settings stand in one list, without any\n"},
      {"[[[= 3\n", "convoy: bad.toml: this is no TOML\n"},
      {"# lr\n\nlr = 0\n", "convoy: bad.toml:3: --lr: 0 is not a finite number above 0"},
      {"batch = 6.5\n", "convoy: bad.toml:1: --batch: '6.5' is not a whole number"},
      {"batch = true\n", "convoy: bad.toml:1: --batch: 'true' is not a whole number"},
      {"batch = [1, 2]\n", "convoy: bad.toml:1: 'batch' is neither text nor a number nor true or false"},
      {"lr = 1\nlr = 2\n", "convoy: bad.toml:2: column "},
      {"label-smoothing = 0.1\nlabel_smoothing = 0.2\n", "convoy: bad.toml:2: label_smoothing is set twice"},
      {"lr 1\n", "convoy: bad.toml:1: column "},
      {"model = \"lenet5\n", "convoy: bad.toml:1: column "},
      {"optimizer = 'adm'\n", "did you mean 'adam'?"},
      {"resume = 'runs/x'\n", "convoy: bad.toml:1: unknown setting 'resume'"},
      {"momentum = 0.5\n", "convoy: --momentum: has no effect with --optimizer adam"},
  };
  for (const auto& [text, told] : mistakes) {
    SCOPED_TRACE(text);
    const TemporaryFolder folder;
    write(folder, "bad.toml", text);
    const Outcome outcome = run_convoy(folder, small_training({"--config", "bad.toml"}));
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_NE(outcome.error.find(told), std::string::npos) << outcome.error;
    EXPECT_EQ(std::ranges::count(outcome.error, '\n'), 1) << outcome.error;
    EXPECT_EQ(folder.names(), Arguments{"bad.toml"});
  }
}

TEST(config_file, files_that_are_none_are_told) {
  const TemporaryFolder folder;
  write(folder, "a.json", "{\n  \"batch\": 3,\n  oops\n}\n");
  write(folder, "b.json", "[1]\n");
  write(folder, "c.json", "{\n  \"batch\": 3,\n  \"ephocs\": 3\n}\n");
  write(folder, "d.json", "{\n  \"version\": \"0\",\n  \"batch\": 0\n}\n");
  std::filesystem::create_directory(folder / "e.toml");
  const auto refusal = [&](const char* file) {
    const Outcome outcome = run_convoy(folder, {"train", "--config", file});
    EXPECT_EQ(outcome.exit_code, 2) << file;
    return outcome.error;
  };
  EXPECT_EQ(refusal("a.json"), "convoy: a.json:3: this is no JSON\n");
  EXPECT_EQ(refusal("b.json"), "convoy: b.json:1: is no JSON object, as the config.json of a run is\n");
  EXPECT_EQ(refusal("c.json"), "convoy: c.json:3: unknown setting 'ephocs', did you mean 'epochs'?\n");
  EXPECT_EQ(refusal("d.json"), "convoy: d.json:3: --batch: 0 is too small, the least is 1\n");
  write(folder, "escape.toml", "dry-run = t\x1b[2J\n");
  EXPECT_NE(refusal("escape.toml").find("escape.toml:1: "), std::string::npos);
  EXPECT_EQ(refusal("escape.toml").find('\x1b'), std::string::npos);
  write(folder, "deep.json", "{\"batch\": " + std::string(200'000, '[') + std::string(200'000, ']') + "}");
  EXPECT_EQ(refusal("deep.json"), "convoy: deep.json: is nested more than 4 deep\n");
  EXPECT_EQ(refusal("e.toml"), "convoy: --config e.toml: cannot be read\n");
  EXPECT_EQ(refusal("nowhere.toml"), "convoy: --config nowhere.toml: cannot be read\n");
  EXPECT_NE(refusal("small.yaml").find("ends neither in .toml nor"), std::string::npos);
  const Outcome resumed = run_convoy(folder, {"train", "--resume", "x", "--config", "a.json"});
  EXPECT_EQ(resumed.exit_code, 2);
  EXPECT_NE(resumed.error.find("--config: cannot be given with --resume"), std::string::npos) << resumed.error;
}

TEST(config_file, the_config_of_an_earlier_run_repeats_it) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_convoy(folder, small_training({"--model", "flatten; linear 10", "--optimizer", "sgd", "--momentum",
                                               "0.5", "--schedule", "step", "--step-every", "2", "--epochs", "2",
                                               "--seed", "5", "--run", "first", "--save", "w"}))
                .exit_code,
            0);
  const std::string weights = read_text(folder / "w");
  std::filesystem::remove(folder / "w");
  const Outcome again =
      run_convoy(folder, {"train", "--config", "first/config.json", "--run", "second", "--save", "v"});
  ASSERT_EQ(again.exit_code, 0) << again.error;
  EXPECT_EQ(step_lines(folder / "second"), step_lines(folder / "first"));
  EXPECT_TRUE(read_text(folder / "v") == weights);
  EXPECT_FALSE(std::filesystem::exists(folder / "w")) << "the earlier run's file was written again";
  nlohmann::json first = config_of(folder, "first"), second = config_of(folder, "second");
  for (const char* own : {"run", "save", "began"}) first.erase(own), second.erase(own);
  EXPECT_EQ(first, second);
  // Settings of that run that have no effect beside what is typed are left out; the same typed would be refused.
  const Outcome adam = run_convoy(folder, {"train", "--config", "first/config.json", "--run", "third", "--optimizer",
                                           "adam", "--strategy", "replicated", "--replicas", "2"});
  ASSERT_EQ(adam.exit_code, 0) << adam.error;
  EXPECT_EQ(config_of(folder, "third").at("optimizer"), "adam");
  EXPECT_EQ(config_of(folder, "third").at("seed"), 5);
}

TEST(config_file, eval_takes_the_model_and_the_data_of_a_run) {
  const TemporaryFolder folder;
  ASSERT_EQ(
      run_convoy(folder, small_training({"--model", "flatten; linear 10", "--run", "a", "--save", "w"})).exit_code, 0);
  ASSERT_EQ(
      run_convoy(folder, small_training({"--model", "flatten; linear 10", "--run", "b", "--init", "w"})).exit_code, 0);
  const Outcome typed = run_convoy(folder, {"eval", "--model", "flatten; linear 10", "--dataset", "synthetic",
                                            "--holdout", "300", "--batch", "64", "--init", "w"});
  const Outcome outcome = run_convoy(folder, {"eval", "--config", "b/config.json", "--init", "w"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_EQ(outcome.out, typed.out);
  const Outcome without = run_convoy(folder, {"eval", "--config", "b/config.json"});
  EXPECT_EQ(without.exit_code, 2) << "weights that the run began with are not those to evaluate";
  write(folder, "e.toml", "model = 'flatten; linear 10'\ndataset = 'synthetic'\nholdout = 300\ninit = 'w'\n");
  EXPECT_EQ(run_convoy(folder, {"eval", "--config", "e.toml"}).out, typed.out);
  // A file for trainings serves; what is no option of train either is a mistake.
  write(folder, "e.toml", read_text(folder / "e.toml") + "lr = 1\nmomentum = 0.5\n");
  EXPECT_EQ(run_convoy(folder, {"eval", "--config", "e.toml"}).out, typed.out);
  write(folder, "t.toml", "logit = 'x'\n");
  EXPECT_NE(run_convoy(folder, {"eval", "--config", "t.toml"})
                .error.find("t.toml:1: unknown setting 'logit', did you mean 'logits'?"),
            std::string::npos);
}

TEST(ConfigFileRanks, ranks_get_what_the_file_says) {
  if (!with_mpi()) GTEST_SKIP() << kWithoutMpi;
  const TemporaryFolder folder;
  write(folder, "two.toml", std::string(kSmall) + "strategy = 'ddp'\nranks = 2\nbatch = 20\n");
  const Outcome outcome = run_convoy(folder, {"train", "--config", "two.toml", "--run", "run"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_EQ(config_of(folder, "run").at("ranks"), 2);
  const Outcome again = run_convoy(folder, {"train", "--config", "run/config.json", "--run", "again"});
  ASSERT_EQ(again.exit_code, 0) << again.error;
  EXPECT_EQ(step_lines(folder / "again"), step_lines(folder / "run"));
}

TEST(config_file, compare_takes_its_lists_and_flags) {
  const TemporaryFolder folder;
  write(folder, "c.toml",
        "strategies = 'openmp'\nworkers-list = 2\nmodels = 'flatten; linear 10'\ndataset = 'synthetic'\nquick = true\n"
        "repeats = 1\nlimit = 64\nholdout = 50\n");
  const Outcome outcome = run_convoy(folder, {"compare", "--config", "c.toml", "--run", "report"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_NE(read_text(folder / "report/results.csv").find("openmp"), std::string::npos);
}

}  // namespace
}  // namespace convoy
