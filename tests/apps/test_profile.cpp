// --profile: every kernel of a step is told with its layer, its direction and its cost, and nothing is changed by it.
#include "apps/profile.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>

#include "apps/evaluation.h"
#include "apps/layer_table.h"
#include "apps/profile_table.h"
#include "apps/profile_trace.h"
#include "autograd/optimizer.h"
#include "layers/models.h"
#include "tests/apps/resumed_training.h"
#include "tests/apps/run_convoy.h"

namespace convoy {
namespace {

using Json = nlohmann::json;
using Pass = Work::Pass;

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// A training of so many steps on black images of 8x8x3, profiled.
class ProfiledNet {
 public:
  ProfiledNet(const std::string& model, int64_t batch)
      : net_(make_model(model, {8, 8, 3}, 10)), images_(Tensor::zeros({batch, 8, 8, 3})) {
    initialise(*net_, 1);
  }
  ProfileRecord train(int steps) {
    std::vector<Variable> parameters;
    for (const NamedVariable& parameter : net_->parameters()) parameters.push_back(parameter.variable);
    const std::unique_ptr<Optimizer> optimizer = make_adam(parameters, {});
    const Tensor labels = Tensor::zeros({images_.size(0)}, DType::i32);
    net_->set_training(true);
    Profile profile(*net_);
    for (int step = 0; step < steps; ++step) {
      profile.begin_step();  // as at the end of an epoch: no batch is left, and evaluation follows
      (*net_)(Variable(images_));
      profile.begin_step();
      optimizer->clear_grad();
      const Variable logits = (*net_)(Variable(images_));
      const Variable loss = softmax_cross_entropy(logits, labels);
      count_correct(logits.value(), labels);
      loss.backward();
      optimizer->step(0.001f);
      profile.end_step();
      (*net_)(Variable(images_));  // between steps
    }
    profile.begin_step();  // which does not end
    (*net_)(Variable(images_));
    return profile.finish("");
  }
  Module& net() { return *net_; }

 private:
  std::unique_ptr<Module> net_;
  Tensor images_;
};

// "conv1 forward" and the like to what was done for it, in all steps.
std::map<std::string, KernelCost> costs_by_layer(const ProfileRecord& record) {
  std::map<std::string, KernelCost> costs;
  for (const ProfileRow& row : rows_of(record))
    costs[row.layer + (row.pass == Pass::backward ? " backward" : "")] += row.cost;
  return costs;
}

TEST(Profile, every_layer_appears_forward_and_backward_with_the_flops_of_its_formula) {
  constexpr int64_t kBatch = 3, kSteps = 4;
  ProfiledNet trained("cifar-cnn", kBatch);
  const ProfileRecord record = trained.train(1 + kSteps);
  EXPECT_EQ(record.steps.size(), static_cast<size_t>(kSteps));
  const std::map<std::string, KernelCost> costs = costs_by_layer(record);
  for (const LayerRow& layer : tabulate(trained.net(), {8, 8, 3}).rows) {
    ASSERT_TRUE(costs.contains(layer.name)) << layer.name;
    ASSERT_TRUE(costs.contains(layer.name + " backward")) << layer.name;
    const double flops = 2.0 * static_cast<double>(layer.multiply_adds * kBatch * kSteps);
    EXPECT_EQ(costs.at(layer.name).flops, flops) << layer.name;
    // By its weight and by its input, which the images are not asked for.
    EXPECT_EQ(costs.at(layer.name + " backward").flops, layer.name == "conv1" ? flops : 2 * flops) << layer.name;
  }
  for (const char* other : {"loss", "loss backward", "accuracy", "optimizer"})
    EXPECT_TRUE(costs.contains(other)) << other;
  EXPECT_FALSE(costs.contains("outside of layers"));
}

TEST(Profile, layers_within_layers_have_dotted_names) {
  const std::map<std::string, KernelCost> costs = costs_by_layer(ProfiledNet("resnet18", 2).train(2));
  for (const char* layer :
       {"conv1", "bn1 backward", "layer1.0.conv1", "layer1.0 after bn2", "layer2.0.downsample.0 backward",
        "layer2.0 after downsample", "layer4.1.bn2", "after layer4", "fc backward"})
    EXPECT_TRUE(costs.contains(layer)) << layer;
}

TEST(Profile, a_sequential_names_its_layers_by_their_numbers_also_where_they_are_fused) {
  const std::map<std::string, KernelCost> costs =
      costs_by_layer(ProfiledNet("conv 4 3x3; bn; relu; gelu; residual { conv 4 1 }; flatten; linear 10", 2).train(2));
  for (const char* layer : {"0", "0 backward", "1", "1 backward", "3", "3 backward", "4.body.0", "4 after body"})
    EXPECT_TRUE(costs.contains(layer)) << layer;
}

TEST(Profile, records_twenty_steps_after_the_first_and_their_kernels_fit_in_them) {
  const ProfileRecord record = ProfiledNet("conv 4 3x3; relu; flatten; linear 10", 2).train(30);
  ASSERT_EQ(record.steps.size(), 20u);
  std::vector<double> in_kernels(record.steps.size());
  double last = 0;
  for (const ProfiledCall& call : record.calls) {
    const ProfileRecord::Step& step = record.steps.at(static_cast<size_t>(call.step));
    EXPECT_LE(step.begin, call.begin);
    EXPECT_LE(last, call.begin);  // one after the other
    EXPECT_LE(call.begin, call.end);
    EXPECT_LE(call.end, step.end);
    in_kernels[static_cast<size_t>(call.step)] += call.seconds();
    last = call.end;
  }
  for (size_t i = 0; i < in_kernels.size(); ++i) EXPECT_LE(in_kernels[i], record.steps[i].end - record.steps[i].begin);
  for (const ProfileRow& row : rows_of(record)) EXPECT_EQ(row.calls % 20, 0) << row.layer << " " << row.kernel;
}

// Two steps of a millisecond each: 10 us until the batch has come, of which 4 us for images, then two convolutions.
ProfileRecord small_record() {
  ProfileRecord record{.about = "model    small\n",
                       .limits = {.flops = 1e9, .memory = {.read = 5e8, .copy = 4e8, .update = 1e9}},
                       .kernels = "avx2",
                       .threads = 2,
                       .cores = 2,
                       .steps = {{0, 1e-3}, {2e-3, 3e-3}},
                       .calls = {}};
  for (const int64_t step : {0, 1}) {
    const double begin = 2e-3 * static_cast<double>(step);
    const auto call = [&](const char* layer, Pass pass, const char* kernel, KernelCost cost, double at,
                          double seconds) {
      record.calls.push_back({.layer = layer,
                              .pass = pass,
                              .kernel = kernel,
                              .cost = cost,
                              .step = step,
                              .begin = begin + at,
                              .end = begin + at + seconds});
    };
    record.calls.push_back({.layer = "images",
                            .pass = Pass::data,
                            .kernel = "image_batch",
                            .cost = {},
                            .step = step,
                            .thread = 1,
                            .begin = begin,
                            .end = begin + 7e-6});
    call("images", Pass::data, "image_batch", {0, 400}, 1e-6, 4e-6);
    call("conv1", Pass::forward, "conv2d_forward", {50e3, 100}, 10e-6, 100e-6);
    call("conv1", Pass::backward, "conv2d_backward_weight", {50e3, 100e3}, 200e-6, 200e-6);
    call("conv1", Pass::backward, "column_sum", {0, 2e3}, 500e-6, 1e-6);
  }
  return record;
}

// With one space where there are several.
std::string squeezed(const std::string& text) {
  std::string result;
  for (const char letter : text)
    if (letter != ' ' || result.empty() || result.back() != ' ') result += letter;
  return result;
}

TEST(ProfileTable, tells_times_shares_rates_and_limits) {
  const std::string text = squeezed(table_of(small_record(), 0.002));
  for (const char* line : {
           "profile 2 steps of 1.00 ms on average, 1.00 to 1.00; avx2 kernels, 2 threads\n",
           "limits 1.0 GFLOP/s of fp32 multiply-adds; memory: 0.5 GB/s read, 0.4 copied, 1.0 changed in place\n",
           "data kernel calls µs/step share rate of limit\n",
           " images image_batch 1 4.0 0.4 % 0.1 GB/s 10 %\n",
           " conv1 conv2d_forward 1 100.0 10.0 % 0.5 GFLOP/s 50 %\n",          // 50e3 FLOP in 100 µs
           " conv1 conv2d_backward_weight 1 200.0 20.0 % 0.2 GFLOP/s 50 %\n",  // 100e3 bytes are what limits it
           " 1 smaller row 1 1.0 0.1 % 200 %\n",
           " all of backward 2 201.0 20.1 % 51 %\n",
           " all kernels 4 305.0 30.5 % 50 %\n",
           " until the batch was there 6.0 0.6 %\n",  // 10 less 4
           " else outside kernels 689.0 68.9 %\n",
           " step 1000.0 100.0 %\n",
           "prepared batches: 7.0 µs in kernels for each step.\n",
       })
    EXPECT_TRUE(has(text, line)) << line << "\nin\n" << text;
  EXPECT_FALSE(has(text, "column_sum")) << text;
  EXPECT_FALSE(has(text, "warning")) << text;
  EXPECT_TRUE(has(table_of(small_record()), "column_sum"));
}

TEST(ProfileTable, tells_what_its_kernels_contain_and_nothing_of_others) {
  const auto table_with = [](const std::vector<std::pair<Pass, std::string>>& kernels) {
    ProfileRecord record = small_record();
    for (const auto& [pass, kernel] : kernels) {
      record.calls.push_back(record.calls.front());
      record.calls.back().thread = 0;
      record.calls.back().layer = "bn";
      record.calls.back().pass = pass;
      record.calls.back().kernel = kernel;
    }
    return table_of(record);
  };
  const char *const statistics = "\nconv2d_forward contains the statistics of a batch norm right behind it.\n",
                    *const pooling =
                        "\nbatch_norm_max_pool and its backward contain the ReLU and the max pooling behind",
                    *const relu =
                        "\ngemm of a backward contains that of a ReLU right before the layer, where there is one.\n",
                    *const update = "\ngemm_adam_step contains the update of the layer's weight.\n";
  const std::pair<Pass, std::string> normalize{Pass::forward, "batch_norm_normalize"},
      pool{Pass::forward, "batch_norm_max_pool"}, own{Pass::forward, "batch_norm_statistics"};
  const struct {
    std::vector<std::pair<Pass, std::string>> kernels;
    std::vector<const char*> told;
  } cases[] = {{{}, {}},
               {{normalize}, {statistics}},
               {{normalize, own}, {}},
               {{pool}, {statistics, pooling}},
               {{pool, own}, {pooling}},
               {{normalize, pool}, {statistics, pooling}},
               {{{Pass::forward, "gemm"}}, {}},
               {{{Pass::backward, "gemm"}}, {relu}},
               {{{Pass::backward, "gemm_adam_step"}}, {update}}};
  for (const auto& [kernels, told] : cases) {
    const std::string text = table_with(kernels);
    for (const char* line : {statistics, pooling, relu, update})
      EXPECT_EQ(has(text, line), std::ranges::find(told, line) != told.end()) << line << "\nin\n" << text;
  }
}

TEST(ProfileTable, tells_the_range_of_steps_and_what_makes_limits_doubtful) {
  ProfileRecord record = small_record();
  record.steps[1].end = 3.5e-3;
  record.limits.difference = 0.34;
  record.threads = 64;
  const std::string text = table_of(record);
  for (const char* line : {
           "profile  2 steps of 1.25 ms on average, 1.00 to 1.50; avx2 kernels, 64 threads\n",
           "warning  the limits before and after the training differ by 34 %, "
           "as if other programs were running; the higher ones are used\n",
           "warning  64 threads on 2 cores: limits and kernels are slower than the CPU is\n",
       })
    EXPECT_TRUE(has(text, line)) << line << "\nin\n" << text;
  record.steps.pop_back();
  std::erase_if(record.calls, [](const ProfiledCall& call) { return call.step == 1; });
  EXPECT_TRUE(has(table_of(record), "profile  1 step of 1.00 ms; ")) << table_of(record);
}

TEST(ProfileTrace, has_lanes_for_steps_layers_kernels_and_what_is_beside) {
  const Json trace = Json::parse(trace_of(small_record()));
  std::map<int, std::string> lanes;
  std::map<std::string, std::vector<std::string>> names;
  for (const Json& event : trace.at("traceEvents")) {
    if (event.at("name") == "thread_name") lanes[event.at("tid")] = event.at("args").at("name");
    if (event.at("ph") == "X") names[lanes.at(event.at("tid"))].push_back(event.at("name"));
  }
  EXPECT_EQ(names["steps"], (std::vector<std::string>{"step 2", "step 3"}));
  EXPECT_EQ(names["layers"],
            (std::vector<std::string>{"images", "conv1", "conv1 backward", "images", "conv1", "conv1 backward"}));
  EXPECT_EQ(names["kernels"].size(), 8u);
  EXPECT_EQ(names["kernels of loader worker 1"].size(), 2u);
  // The end is rounded to half an ulp of 2.1 ms, 2.2e-19 s, which is 2.2e-15 of the 100 us between; then come a few roundings of 1.1e-16.
  const auto expect_close = [](double value, double expected) { EXPECT_NEAR(value, expected, 4e-15 * expected); };
  int found = 0;
  for (const Json& event : trace.at("traceEvents")) {
    if (event.at("name") != "conv2d_forward" || event.at("args").at("step") != 3) continue;
    ++found;
    EXPECT_DOUBLE_EQ(event.at("ts"), 2010);
    expect_close(event.at("dur"), 100);
    EXPECT_EQ(event.at("args").at("layer"), "conv1");
    expect_close(event.at("args").at("GFLOP/s"), 0.5);
    expect_close(event.at("args").at("GB/s"), 1e-3);
    expect_close(event.at("args").at("% of limit"), 50);
  }
  EXPECT_EQ(found, 1);
  EXPECT_EQ(trace.at("otherData").at("about"), "model    small\n");
  EXPECT_EQ(trace.at("otherData").at("limit GB/s"), 1.0);
}

TEST(ProfileOption, shows_a_large_weight_updated_in_backward) {
  const TemporaryFolder folder;
  const Outcome outcome = run_convoy(
      folder, {"train", "--dataset", "synthetic", "--model", "mnist-cnn", "--limit", "256", "--holdout", "64",
               "--batch", "64", "--steps", "3", "--run", "run", "--profile", "--checkpoint-every", "0"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  const std::string table = read_text(folder / "run/profile.txt"), backward = table.substr(table.find("\nbackward "));
  EXPECT_LT(backward.find("fc1 "), backward.find("\nupdate ")) << table;
  EXPECT_LT(backward.find("gemm_adam_step "), backward.find("\nupdate ")) << table;
}

TEST(ProfileOption, writes_table_and_picture_and_changes_no_result) {
  const TemporaryFolder folder;
  const Outcome plain = run_convoy(folder, small_training({"--batch", "20", "--epochs", "3", "--run", "plain", "--save",
                                                           "plain.safetensors"})),
                profiled = run_convoy(folder, small_training({"--batch", "20", "--epochs", "3", "--run", "run",
                                                              "--save", "w.safetensors", "--profile"}));
  ASSERT_EQ(plain.exit_code, 0) << plain.error;
  ASSERT_EQ(profiled.exit_code, 0) << profiled.error;
  EXPECT_EQ(step_lines(folder / "plain"), step_lines(folder / "run"));
  EXPECT_EQ(read_text(folder / "plain.safetensors"), read_text(folder / "w.safetensors"));
  EXPECT_TRUE(has(profiled.out, "profile  20 steps of ")) << profiled.out;
  EXPECT_TRUE(has(profiled.out, "profile  run/profile.txt, run/profile.json (open it in ui.perfetto.dev)\n"));
  EXPECT_FALSE(has(plain.out, "profile"));
  EXPECT_FALSE(std::filesystem::exists(folder / "plain/profile.json"));
  EXPECT_FALSE(has(read_text(folder / "run/config.json"), "profile"));

  const std::string table = read_text(folder / "run/profile.txt");
  for (const char* part : {"model    ", "\ndata     synthetic: ", "\nmachine  ", "\nmethod   epochs 3", "\nforward ",
                           "\nbackward ", "\nupdate ", "conv2d_forward gemm", "conv2d_backward_weight gemm",
                           "softmax_cross_entropy_backward", "adam_step", "all kernels", "Beside the steps"})
    EXPECT_TRUE(has(table, part)) << part << "\nin\n" << table;
  std::istringstream lines(table.substr(table.find("\nprofile ")));
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 121u) << line;  // "µ" has two bytes

  std::set<int64_t> steps;
  const Json trace = Json::parse(read_text(folder / "run/profile.json"));
  for (const Json& event : trace.at("traceEvents")) {
    if (event.at("ph") == "X") steps.insert(event.at("args").at("step").get<int64_t>());
  }
  EXPECT_EQ(steps.size(), 20u);
  EXPECT_EQ(*steps.begin(), 2);
  EXPECT_EQ(*steps.rbegin(), 21);
}

TEST(ProfileOption, without_loader_workers_images_are_a_part_of_the_step) {
  const TemporaryFolder folder;
  const Outcome outcome = run_convoy(
      folder, small_training({"--workers", "0", "--ema", "0.9", "--steps", "3", "--run", "run", "--profile"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  const std::string table = read_text(folder / "run/profile.txt");
  EXPECT_TRUE(has(table, "profile  2 steps of ")) << table;
  EXPECT_TRUE(has(table, "\ndata ")) << table;
  EXPECT_TRUE(has(table, "  images   ")) << table;
  EXPECT_TRUE(has(table, "  average of weights ")) << table;
  EXPECT_FALSE(has(table, "Beside the steps")) << table;
}

TEST(ProfileOption, can_be_given_with_resume) {
  const TemporaryFolder folder;
  const Outcome complete = run_convoy(folder, small_training({"--batch", "20", "--epochs", "3", "--run", "complete",
                                                              "--checkpoint-every", "1", "--keep", "100"}));
  ASSERT_EQ(complete.exit_code, 0) << complete.error;
  copy_killed_run(folder / "complete", folder / "run", 2);
  const Outcome resumed = run_convoy(folder, {"train", "--resume", "run", "--profile"});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.error;
  EXPECT_TRUE(has(resumed.out, "profile  run/profile.txt, ")) << resumed.out;
}

TEST(ProfileOption, that_cannot_be_written_leaves_the_run_complete) {
  if (*kFailACall == 0) GTEST_SKIP() << "a sanitizer has to be the first library of a program";
  const TemporaryFolder folder;
  const Outcome outcome = run_convoy(folder, small_training({"--run", "run", "--profile"}),
                                     {{"LD_PRELOAD", kFailACall},
                                      {"FAIL_CALL", "1"},
                                      {"FAIL_TOLD", (folder / "told").string()},
                                      {"FAIL_BELOW", (folder / "run/profile").string()}});
  EXPECT_EQ(outcome.exit_code, 5) << outcome.error;
  EXPECT_TRUE(has(outcome.error, "run/profile.txt")) << outcome.error;
  EXPECT_TRUE(has(outcome.error, "; nothing of the training is lost\n")) << outcome.error;
  EXPECT_TRUE(has(outcome.out, "all kernels")) << outcome.out;
  EXPECT_FALSE(has(read_text(folder / "run/metrics.jsonl"), "failed"));
}

TEST(ProfileOption, is_refused_where_it_would_show_nothing) {
  struct Mistake {
    std::vector<std::string> arguments;
    int exit_code;
    std::string told;
  };
  const TemporaryFolder folder;
  for (const Mistake& mistake : std::vector<Mistake>{
           {{"--device", "cuda"},
            2,
            "--profile: has no effect with --device cuda, whose kernels NVIDIA's Nsight Systems shows"},
           {{"--strategy", "replicated", "--replicas", "2"},
            2,
            "--profile: has no effect with --strategy replicated, where --trace shows what happens"},
           {{"--accumulate", "2"},
            2,
            "--profile: has no effect with --reduce tree or --accumulate, where --trace shows what happens"},
           {{"--steps", "1"}, 2, "--profile: records steps 2 to 21, this training has 1"},
           {{"--save", "run/profile.txt"}, 5, "--save run/profile.txt: the run itself writes this file"}}) {
    std::vector<std::string> arguments = mistake.arguments;
    arguments.insert(arguments.end(), {"--run", "run", "--profile"});
    const Outcome outcome = run_convoy(folder, small_training(arguments));
    EXPECT_EQ(outcome.exit_code, mistake.exit_code);
    EXPECT_EQ(outcome.error, "convoy: " + mistake.told + "\n");
  }
  EXPECT_TRUE(folder.names().empty());
}

TEST(ProfileOption, can_stand_in_a_file_of_settings_and_is_named_by_a_dry_run) {
  const TemporaryFolder folder;
  std::ofstream(folder / "p.toml") << "profile = true\n";
  const Outcome outcome = run_convoy(folder, small_training({"--config", "p.toml", "--run", "run", "--dry-run"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_TRUE(has(outcome.out, "         run/profile.txt and profile.json\n")) << outcome.out;
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"p.toml"}));
}

}  // namespace
}  // namespace convoy
