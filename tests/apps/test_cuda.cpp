// `--device cuda`: the whole command on emulated GPUs, and what it says where there are none.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/apps/run_convoy.h"

namespace convoy {
namespace {

using Environment = std::map<std::string, std::string>;
using Options = std::map<std::string, std::string>;

// Batch norm, pooling, dropout, augmentation and a smaller last batch take part.
const char* const kModel =
    "conv 8 3x3; bn; relu; maxpool 2; dropout 0.3; conv 12 3x3 stride 2; relu; flatten; linear 10";

// A training of ten steps, with `more` options or other values.
std::vector<std::string> training(const Options& more) {
  Options options{{"--dataset", "synthetic"}, {"--limit", "72"},   {"--holdout", "40"},
                  {"--batch", "16"},          {"--epochs", "2"},   {"--run", "run"},
                  {"--model", kModel},        {"--augment", "on"}, {"--log-every", "1"}};
  for (const auto& [name, value] : more) options[name] = value;
  std::vector<std::string> arguments{"train"};
  for (const auto& [name, value] : options) arguments.insert(arguments.end(), {name, value});
  return arguments;
}

class EmulatedCuda : public testing::Test {
 protected:
  Outcome run(const TemporaryFolder& folder, const std::vector<std::string>& arguments,
              const Environment& environment = {}) {
    return run_convoy(folder, arguments, environment, kConvoyEmulated);
  }

  std::vector<double> losses(const Options& more, const Environment& environment = {}) {
    const TemporaryFolder folder;
    const Outcome outcome = run(folder, training(more), environment);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
    std::vector<double> losses;
    for (const nlohmann::json& event : read_events(folder / "run", "step")) losses.push_back(event.at("loss"));
    EXPECT_EQ(losses.size(), 10u);
    return losses;
  }
};

TEST_F(EmulatedCuda, trains_like_the_cpu) {
  const std::vector<double> cpu = losses({{"--device", "cpu"}}), gpu = losses({{"--device", "cuda"}});
  ASSERT_EQ(cpu.size(), gpu.size());
  // The same draws and the same formulas, sums in another order. Ten steps of Adam, whose first steps turn the sign of
  // a rounding error into a whole step of a weight whose gradient is 0 but for rounding, let that grow by far.
  for (size_t i = 0; i < cpu.size(); ++i) EXPECT_NEAR(cpu[i], gpu[i], i == 0 ? 1e-6 : 1e-3) << "step " << i + 1;
}

TEST_F(EmulatedCuda, replayed_steps_give_the_bits_of_single_launches) {
  const auto with_graph = [&](const char* graph, Options more) {
    more.insert({{"--device", "cuda"}, {"--graph", graph}});
    return losses(more);
  };
  EXPECT_EQ(with_graph("on", {}), with_graph("off", {}));
  EXPECT_EQ(with_graph("on", {{"--clip-norm", "0.5"}}), with_graph("off", {{"--clip-norm", "0.5"}}));
  EXPECT_EQ(with_graph("on", {{"--ema", "0.5"}}), with_graph("off", {{"--ema", "0.5"}}));
  EXPECT_NE(with_graph("on", {{"--clip-norm", "0.5"}, {"--optimizer", "sgd"}}),
            with_graph("on", {{"--optimizer", "sgd"}}));
}

TEST_F(EmulatedCuda, gives_the_same_bits_under_any_schedule_of_threads) {
  EXPECT_EQ(losses({{"--device", "cuda"}}, {{"CONVOY_EMULATION_SEED", "1"}}),
            losses({{"--device", "cuda"}}, {{"CONVOY_EMULATION_SEED", "2"}}));
}

TEST_F(EmulatedCuda, learns_in_every_precision) {
  for (const char* precision : {"tf32", "bf16"}) {
    SCOPED_TRACE(precision);
    const std::vector<double> rounded = losses({{"--device", "cuda"}, {"--precision", precision}}), exact = losses({});
    // Ten steps from ln 10; products of operands rounded to 8 bits move a loss of about 2 by well under a tenth.
    for (size_t i = 0; i < exact.size(); ++i) EXPECT_NEAR(rounded[i], exact[i], 0.1) << "step " << i + 1;
    EXPECT_NE(rounded, exact);
  }
}

TEST_F(EmulatedCuda, evaluates_saved_weights_like_the_cpu) {
  const TemporaryFolder folder;
  ASSERT_EQ(run(folder, training({{"--device", "cuda"}, {"--save", "weights"}})).exit_code, 0);
  const double accuracy = read_events(folder / "run", "summary").at(0).at("validation_accuracy");
  for (const char* device : {"cpu", "cuda"}) {
    const Outcome outcome = run(folder, {"eval", "--model", kModel, "--dataset", "synthetic", "--holdout", "40",
                                         "--init", "weights", "--device", device});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
    EXPECT_NE(outcome.out.find(fmt::format("validation accuracy {:.2f} %", accuracy)), std::string::npos)
        << outcome.out;
  }
}

TEST_F(EmulatedCuda, names_step_and_layer_of_a_loss_that_is_not_finite) {
  const TemporaryFolder cpu_folder;
  const Outcome cpu = run(cpu_folder, training({{"--lr", "1e30"}}));
  for (const char* graph : {"on", "off"}) {
    const TemporaryFolder folder;
    const Outcome outcome = run(folder, training({{"--device", "cuda"}, {"--lr", "1e30"}, {"--graph", graph}}));
    EXPECT_EQ(outcome.exit_code, 4);
    EXPECT_NE(outcome.error.find("step 2 (epoch 1): the loss is"), std::string::npos) << outcome.error;
    EXPECT_EQ(outcome.error, cpu.error);
  }
}

TEST_F(EmulatedCuda, refuses_a_device_that_is_not_there) {
  const TemporaryFolder folder;
  Outcome outcome = run(folder, training({{"--device", "cuda:9"}}), {{"CONVOY_EMULATED_GPUS", "2"}});
  EXPECT_EQ(outcome.exit_code, 6);
  EXPECT_EQ(outcome.error, "convoy: cuda:9: there is no such device; this machine has cuda:0 to cuda:1\n");
  outcome = run(folder, training({{"--device", "cuda"}}), {{"CONVOY_EMULATED_GPUS", "0"}});
  EXPECT_EQ(outcome.exit_code, 6);
  EXPECT_EQ(outcome.error, "convoy: cuda: no GPU is visible; --device cpu trains without\n");
  EXPECT_TRUE(folder.names().empty());
}

TEST_F(EmulatedCuda, out_of_memory_names_a_batch_that_fits) {
  const TemporaryFolder folder;
  const Environment small{{"CONVOY_EMULATED_MEMORY", "2000000"}};
  const Outcome outcome = run(folder, training({{"--device", "cuda"}, {"--batch", "64"}}), small);
  EXPECT_EQ(outcome.exit_code, 6);
  EXPECT_EQ(outcome.error.rfind("convoy: cuda:0: out of memory, ", 0), 0u) << outcome.error;
  const size_t at = outcome.error.find("; --batch ");
  ASSERT_NE(at, std::string::npos) << outcome.error;
  const std::string fits = std::to_string(std::stoi(outcome.error.substr(at + 10)));
  EXPECT_TRUE(folder.names().empty());
  EXPECT_EQ(run(folder, training({{"--device", "cuda"}, {"--batch", fits}}), small).exit_code, 0);
}

TEST_F(EmulatedCuda, out_of_memory_in_pieces_of_a_step_advises_smaller_ones) {
  const TemporaryFolder folder;
  const Outcome outcome = run(folder, training({{"--device", "cuda"}, {"--batch", "64"}, {"--accumulate", "2"}}),
                              {{"CONVOY_EMULATED_MEMORY", "1000000"}});
  EXPECT_EQ(outcome.exit_code, 6);
  EXPECT_NE(outcome.error.find("; a smaller --batch or a larger --accumulate needs less\n"), std::string::npos)
      << outcome.error;
}

TEST_F(EmulatedCuda, out_of_memory_in_eval_advises_a_smaller_batch) {
  const TemporaryFolder folder;
  ASSERT_EQ(run(folder, training({{"--save", "w"}})).exit_code, 0);
  const Outcome outcome =
      run(folder,
          {"eval", "--init", "w", "--dataset", "synthetic", "--model", kModel, "--device", "cuda", "--batch", "8000"},
          {{"CONVOY_EMULATED_MEMORY", "12000000"}});
  EXPECT_EQ(outcome.exit_code, 6);
  EXPECT_EQ(outcome.error.rfind("convoy: cuda:0: out of memory, ", 0), 0u) << outcome.error;
  EXPECT_NE(outcome.error.find("; a smaller --batch than 8000 takes less\n"), std::string::npos) << outcome.error;
}

TEST_F(EmulatedCuda, header_says_how_the_gpu_is_used) {
  const TemporaryFolder folder;
  const auto machine = [&](Options more) {
    more.insert({{"--device", "cuda"}, {"--epochs", "1"}, {"--limit", "48"}});
    const std::string out = run(TemporaryFolder(), training(more)).out;
    const size_t at = out.find("machine  ");
    return at == std::string::npos ? out : out.substr(at, out.find('\n', at) - at);
  };
  EXPECT_EQ(machine({}), "machine  emulated GPU (cuda:0), cuda kernels, precision fp32, conv-algo auto, graph on");
  EXPECT_EQ(
      machine({{"--conv-algo", "direct"}, {"--graph", "off"}, {"--precision", "bf16"}}),
      "machine  emulated GPU (cuda:0), cuda kernels, precision bf16, conv-algo direct up to 4 channels, auto beyond, "
      "graph off");
  const Outcome refused =
      run(folder, training({{"--device", "cuda"}, {"--conv-algo", "tiled"}, {"--precision", "bf16"}}));
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_EQ(refused.error,
            "convoy: --conv-algo: has no effect with --precision bf16, whose products run on tensor cores\n");
}

TEST(usage, a_gpu_where_there_is_none_is_refused_in_one_line) {
  const TemporaryFolder folder;
  if (run_convoy(folder, {"info"}).out.find("gpus     none") == std::string::npos)
    GTEST_SKIP() << "this machine has a GPU";
  const Outcome outcome = run_convoy(folder, {"train", "--device", "cuda"});
  EXPECT_EQ(outcome.exit_code, 6);
  EXPECT_EQ(outcome.error.rfind("convoy: cuda: ", 0), 0u) << outcome.error;
  EXPECT_NE(outcome.error.find("; --device cpu trains without\n"), std::string::npos) << outcome.error;
  EXPECT_EQ(std::count(outcome.error.begin(), outcome.error.end(), '\n'), 1);
  EXPECT_TRUE(folder.names().empty());
}

TEST(usage, convolution_algorithms_of_the_cpu_are_its_own) {
  const TemporaryFolder folder;
  std::map<std::string, std::string> steps;
  for (const std::string algorithm : {"auto", "gemm", "winograd"}) {
    const Outcome outcome =
        run_convoy(folder, small_training({"--model", "conv 16 3x3; relu; conv 16 3x3; flatten; linear 10",
                                           "--conv-algo", algorithm, "--run", algorithm}));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
    EXPECT_EQ(outcome.out.find(" kernels, conv-algo " + algorithm) != std::string::npos, algorithm != "auto")
        << outcome.out;
    steps[algorithm] = step_lines(folder / algorithm);
  }
  EXPECT_NE(steps["gemm"], steps["winograd"]) << "which rounds otherwise";
  EXPECT_NE(steps["gemm"], steps["auto"]);
  EXPECT_NE(steps["winograd"], steps["auto"]) << "whose first layer, of one channel, is not Winograd's";
  const Outcome on_gpu = run_convoy(folder, {"train", "--device", "cuda", "--conv-algo", "gemm"}, {}, kConvoyEmulated);
  EXPECT_EQ(on_gpu.exit_code, 2);
  EXPECT_EQ(on_gpu.error,
            "convoy: --conv-algo: has no effect with --device cuda, which knows auto, im2col, tiled, tensor-core and "
            "direct\n");
}

TEST(usage, choices_for_gpus_are_refused_on_the_cpu) {
  const TemporaryFolder folder;
  for (const auto& [option, value] :
       std::map<std::string, std::string>{{"--precision", "tf32"}, {"--conv-algo", "tiled"}, {"--graph", "off"}}) {
    const Outcome outcome = run_convoy(folder, {"train", option, value});
    EXPECT_EQ(outcome.exit_code, 2);
    const std::string known = option == "--conv-algo" ? ", which knows auto, gemm and winograd" : "";
    EXPECT_EQ(outcome.error, "convoy: " + option + ": has no effect with --device cpu" + known + "\n");
  }
  EXPECT_NE(run_convoy(folder, {"train", "--device", "cuda:x"}).error.find("unknown device 'cuda:x'"),
            std::string::npos);
  EXPECT_EQ(run_convoy(folder, {"train", "--device", "gpu"}).error,
            "convoy: --device gpu: a GPU is called cuda, the first, or cuda:N\n");
  EXPECT_NE(run_convoy(folder, {"train", "--precision", "tf23"}).error.find("did you mean 'tf32'?"), std::string::npos);
}

}  // namespace
}  // namespace convoy
