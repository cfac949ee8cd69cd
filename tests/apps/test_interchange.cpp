// `convoy export` and `convoy import`: what others read, what is read from others, and what is refused.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>

#include "tensor/safetensors.h"
#include "tests/apps/run_convoy.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

const char* const kSmall = "conv 3 3x3 stride 4; bn; relu; flatten; linear 10";

Arguments with(Arguments first, const Arguments& more) {
  first.insert(first.end(), more.begin(), more.end());
  return first;
}

Outcome expect_done(const TemporaryFolder& folder, const Arguments& arguments) {
  const Outcome outcome = run_convoy(folder, arguments);
  EXPECT_EQ(outcome.exit_code, 0) << nlohmann::json(arguments).dump() << outcome.error;
  return outcome;
}

// A file of CIFAR-10 with noise for images.
void write_noise(const fs::path& path, int records) {
  std::mt19937 random(static_cast<uint32_t>(records));
  std::string bytes;
  for (int record = 0; record < records; ++record) {
    bytes += static_cast<char>(record % 10);
    for (int pixel = 0; pixel < 3072; ++pixel) bytes += static_cast<char>(random() >> 24);
  }
  std::ofstream(path, std::ios::binary) << bytes;
}

// Trains two steps on noise, so that running statistics have moved, into the run `run` and the weights `w.safetensors`;
// their logits of the 7 test images go to `logits.npy`.
void make_weights(const TemporaryFolder& folder, const std::string& model, const Arguments& more = {}) {
  write_noise(folder / "data_batch_1.bin", 8);
  write_noise(folder / "test_batch.bin", 7);
  const Arguments on{"--model", model, "--dataset", "cifar10", "--data", "."};
  expect_done(folder, with({"train", "--steps", "2", "--batch", "4", "--run", "run", "--save", "w.safetensors"},
                           with(more, on)));
  expect_done(folder, with({"eval", "--init", "w.safetensors", "--logits", "logits.npy"}, on));
}

// Runs tests/torch/check_export.py; skips where the interpreter, the value of `variable` or else python3, has no reader
// of this kind.
void check_with_python(const TemporaryFolder& folder, const char* variable, const Arguments& arguments) {
  const char* const chosen = std::getenv(variable);
  const std::string python = chosen != nullptr ? chosen : "python3";
  const Outcome outcome = run_convoy(folder, with({python, CONVOY_TEST_FILES "/torch/check_export.py"}, arguments),
                                     {{"PYTHONDONTWRITEBYTECODE", "1"}}, "/usr/bin/env");
  if (outcome.exit_code == 77 || outcome.exit_code == 127)
    GTEST_SKIP() << outcome.out << outcome.error << "; $" << variable << " names another interpreter";
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.error;
}

struct NetworkCase {
  const char *name, *model;
};
std::ostream& operator<<(std::ostream& out, const NetworkCase& network) { return out << network.name; }

class ExportedNetwork : public testing::TestWithParam<NetworkCase> {};

TEST_P(ExportedNetwork, gives_onnx_runtime_the_logits_of_convoy) {
  const TemporaryFolder folder;
  const char* const model = GetParam().model;
  make_weights(folder, model, {"--checkpoint-every", "0"});
  expect_done(folder, {"export", "w.safetensors", "--model", model, "--dataset", "cifar10", "--output", "net.onnx"});
  check_with_python(folder, "CONVOY_PYTHON_ONNX",
                    {"onnx", "--file", "net.onnx", "--images", "test_batch.bin", "--logits", "logits.npy"});
}

INSTANTIATE_TEST_SUITE_P(
    , ExportedNetwork,
    testing::Values(NetworkCase{"mnist_cnn", "mnist-cnn"}, NetworkCase{"cifar_cnn", "cifar-cnn"},
                    NetworkCase{"lenet5", "lenet5"}, NetworkCase{"resnet18", "resnet18"},
                    NetworkCase{
                        "all_layers",
                        "conv 6 5x3 stride 2x1 pad 2x0; gelu; maxpool 3x2 stride 2x1 pad 1; bn; avgpool 3 stride 2 "
                        "pad 1; residual { conv 8 3x3 pad 1 stride 2 nobias; bn } shortcut { conv 8 1x1 stride 2; "
                        "sigmoid }; relu; dropout 0.3; flatten; linear 30; bn; tanh; residual { linear 30; relu }; "
                        "linear 10 nobias"},
                    NetworkCase{"without_linear", "conv 10 3x3; relu; globalavgpool; flatten"}),
    [](const auto& info) { return info.param.name; });

TEST(interchange, exported_weights_give_pytorch_the_logits_of_convoy) {
  const TemporaryFolder folder;
  make_weights(folder, "cifar-cnn");
  expect_done(folder, {"export", "run", "--format", "safetensors", "--output", "exported"});
  check_with_python(
      folder, "CONVOY_PYTHON_TORCH",
      {"torch", "--file", "exported", "--model", "cifar-cnn", "--images", "test_batch.bin", "--logits", "logits.npy"});
}

TEST(interchange, numpy_finds_the_tensors_of_safetensors_in_an_npz) {
  const TemporaryFolder folder;
  make_weights(folder, kSmall);
  expect_done(folder, {"export", "run", "--output", "w.npz"});
  check_with_python(folder, "CONVOY_PYTHON_TORCH", {"npz", "--file", "w.npz", "--weights", "w.safetensors"});
}

TEST(interchange, a_run_and_its_saved_weights_export_to_the_same_bytes) {
  const TemporaryFolder folder;
  make_weights(folder, kSmall);
  for (const char* format : {"safetensors", "onnx", "npz"}) {
    const Arguments write{"--format", format, "--output"};
    const Outcome outcome = expect_done(folder, with({"export", "run"}, with(write, {"a"})));
    EXPECT_NE(outcome.out.find("run/checkpoints/best.safetensors"), std::string::npos) << outcome.out;
    expect_done(folder,
                with({"export", "w.safetensors", "--model", kSmall, "--dataset", "cifar10"}, with(write, {"b"})));
    const std::string of_run = read_text(folder / "a"), of_weights = read_text(folder / "b");
    EXPECT_FALSE(of_run.empty());
    if (format != std::string("onnx")) {
      EXPECT_TRUE(of_run == of_weights) << format;
      continue;
    }
    // A run knows what it was trained on; ONNX has a place for that, among the facts at the end.
    for (const char* fact : {"[32,32,3]", "[0.4914,0.4822,0.4465]", "[0.2471,0.2435,0.2616]", "[\"airplane\","}) {
      EXPECT_NE(of_run.find(fact), std::string::npos) << fact;
      EXPECT_EQ(of_weights.find(fact), std::string::npos) << fact;
    }
  }
  // Without the optimizer's state, so what --save writes.
  expect_done(folder, {"export", "run", "--output", "c.safetensors"});
  EXPECT_TRUE(read_text(folder / "c.safetensors") == read_text(folder / "w.safetensors"));
}

TEST(interchange, the_best_checkpoint_of_a_run_is_exported_else_the_newest) {
  const TemporaryFolder folder;
  const std::string model = "flatten; linear 10";
  expect_done(folder, small_training({"--model", model, "--run", "run", "--epochs", "1"}));
  // Another best one: that of another training.
  expect_done(folder, small_training({"--model", model, "--run", "other", "--epochs", "1", "--seed", "2"}));
  fs::copy(folder / "other/checkpoints/best.safetensors", folder / "run/checkpoints/best.safetensors",
           fs::copy_options::overwrite_existing);
  expect_done(folder, {"export", "run", "--output", "best.npz"});
  expect_done(folder, {"export", "other", "--output", "other.npz"});
  EXPECT_TRUE(read_text(folder / "best.npz") == read_text(folder / "other.npz"));
  fs::remove(folder / "run/checkpoints/best.safetensors");
  const Outcome newest = expect_done(folder, {"export", "run", "--output", "newest.npz"});
  EXPECT_NE(newest.out.find("run/checkpoints/step-"), std::string::npos) << newest.out;
  EXPECT_FALSE(read_text(folder / "best.npz") == read_text(folder / "newest.npz"));
}

// --- import -------------------------------------------------------------------------------------------------------

// 1 and -2 in the types of the format, and eight zeros.
template <class Number>
std::string ten_numbers(Number one, Number minus_two) {
  const std::array<Number, 10> numbers{one, minus_two};
  return {reinterpret_cast<const char*>(numbers.data()), sizeof numbers};
}

// A safetensors file for "flatten; linear 10" on digits, with a bias of this type.
void write_weights(const fs::path& path, const char* type, const std::string& bias) {
  const std::string weight(10 * 784 * 4, '\0');
  const std::string header = fmt::format(R"({{"1.bias":{{"dtype":"{}","shape":[10],"data_offsets":[{},{}]}},)"
                                         R"("1.weight":{{"dtype":"F32","shape":[10,784],"data_offsets":[0,{}]}}}})",
                                         type, weight.size(), weight.size() + bias.size(), weight.size());
  const uint64_t length = header.size();
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(&length), sizeof length) << header << weight << bias;
}

TEST(interchange, imported_weights_of_every_type_become_f32) {
  const std::pair<const char*, std::string> biases[] = {{"F32", ten_numbers<float>(1, -2)},
                                                        {"F64", ten_numbers<double>(1, -2)},
                                                        {"F16", ten_numbers<uint16_t>(0x3C00, 0xC000)},
                                                        {"BF16", ten_numbers<uint16_t>(0x3F80, 0xC000)}};
  for (const auto& [type, bias] : biases) {
    SCOPED_TRACE(type);
    const TemporaryFolder folder;
    write_weights(folder / "theirs", type, bias);
    const Outcome outcome =
        expect_done(folder, {"import", "theirs", "--model", "flatten; linear 10", "--output", "ours"});
    EXPECT_EQ(
        outcome.out,
        "weights      theirs (fit flatten; linear 10 for mnist, 7,850 parameters)\nsafetensors  ours (31,576 bytes)\n");
    const Tensor imported = read_safetensors(folder / "ours").tensors.at("1.bias");
    ASSERT_EQ(imported.dtype(), DType::f32);
    EXPECT_EQ(imported.data<float>()[0], 1);
    EXPECT_EQ(imported.data<float>()[1], -2);
    EXPECT_EQ(imported.data<float>()[2], 0);
  }
}

TEST(interchange, imported_weights_evaluate_like_those_they_come_from) {
  const TemporaryFolder folder;
  make_weights(folder, kSmall);
  TensorFile file = read_safetensors(folder / "w.safetensors");
  file.tensors["1.num_batches_tracked"] = Tensor::from(std::vector<int32_t>{2}, {});
  write_safetensors(folder / "theirs", file);
  expect_done(folder, {"import", "theirs", "--model", kSmall, "--dataset", "cifar10", "--output", "ours"});
  EXPECT_TRUE(read_text(folder / "ours") == read_text(folder / "w.safetensors"));
  // A checkpoint is weights, too.
  expect_done(folder, {"import", "run/checkpoints/best.safetensors", "--model", kSmall, "--dataset", "cifar10",
                       "--output", "theirs"});
  EXPECT_TRUE(read_text(folder / "theirs") == read_text(folder / "w.safetensors"));
}

TEST(interchange, weights_that_do_not_fit_are_refused_by_name) {
  const TemporaryFolder folder;
  make_weights(folder, kSmall);
  const TensorFile good = read_safetensors(folder / "w.safetensors");
  const auto expect_refused = [&](const TensorFile& file, const std::string& told) {
    write_safetensors(folder / "theirs", file);
    const Outcome outcome =
        run_convoy(folder, {"import", "theirs", "--model", kSmall, "--dataset", "cifar10", "--output", "ours"});
    EXPECT_EQ(outcome.exit_code, 3);
    EXPECT_EQ(outcome.error, "convoy: theirs: " + told + "\n");
    EXPECT_FALSE(fs::exists(folder / "ours"));
  };
  TensorFile file = good;
  file.tensors.erase("1.running_var");
  expect_refused(file, "no tensor '1.running_var'");
  file.tensors["1.runing_var"] = good.tensors.at("1.running_var");
  expect_refused(file, "no tensor '1.running_var'; the nearest name is '1.runing_var'");
  file = good;
  file.tensors["0.wieght"] = file.tensors["0.weight"];
  expect_refused(file, "'0.wieght' is not part of the model; the nearest name is '0.weight'");
  file = good;
  file.tensors["0.weight"] = Tensor::zeros({3, 3, 3, 1});
  expect_refused(file, "'0.weight' is [3,3,3,1], the model expects [3,3,3,3]");
  file = good;
  file.tensors["0.bias"] = Tensor::from(std::vector<int32_t>{1, 2, 3}, {3});
  expect_refused(file, "'0.bias' holds i32 values, the model expects f32");
}

// --- wrong use ----------------------------------------------------------------------------------------------------

TEST(interchange, what_makes_no_sense_is_refused) {
  const TemporaryFolder folder;
  const std::string model = "flatten; linear 10";
  ASSERT_EQ(
      run_convoy(folder, small_training({"--model", model, "--run", "run", "--save", "w", "--steps", "1"})).exit_code,
      0);
  ASSERT_EQ(
      run_convoy(folder, small_training({"--model", model, "--run", "bare", "--checkpoint-every", "0", "--steps", "1"}))
          .exit_code,
      0);
  fs::create_directory(folder / "empty");
  const Arguments before = folder.names();
  struct Mistake {
    Arguments arguments;
    int exit_code;
    std::string told;
  };
  const Arguments to{"--output", "out.npz"};
  for (const Mistake& mistake : std::vector<Mistake>{
           {{"export"}, 2, "export: name the folder of a run, one of its checkpoints, or a file of weights"},
           {{"export", "run"}, 2, "export: name the file to write with --output FILE"},
           {{"export", "run", "--output", "out"}, 2, "'out' ends in the name of no format"},
           {{"export", "run", "--output", "out", "--format", "onx"}, 2, "did you mean 'onnx'?"},
           {with({"export", "nowhere"}, to), 3, "nowhere: no such file"},
           {with({"export", "empty"}, to), 3, "is empty the folder of a run?"},
           {with({"export", "bare"}, to), 3, "the run has no checkpoint"},
           {with({"export", "run", "--model", model}, to), 2, "--model: has no effect with a run or its checkpoint"},
           {with({"export", "run", "--dataset", "mnist"}, to), 2,
            "--dataset: has no effect with a run or its checkpoint"},
           {with({"export", "w"}, to), 2, "w is a file of weights; name the model it belongs to with --model"},
           {with({"export", "w", "--model", "lenet5"}, to), 3, "w: no tensor 'conv1.weight'"},
           {with({"export", "run/config.json", "--model", model}, to), 3, "not a safetensors file"},
           {{"export", "run", "--output", "no/such/folder/out.npz"}, 5, "no/such/folder"},
           {{"import"}, 2, "import: name the file of weights"},
           {{"import", "w"}, 2, "import: name the model that the weights belong to with --model"},
           {{"import", "w", "--model", model}, 2, "import: name the file to write with --output FILE"},
           {with({"import", "nowhere", "--model", model}, to), 3, "nowhere: no such file"},
           {{"import", "w", "--model", model, "--output", "no/such/folder/w"}, 5, "no/such/folder"},
       }) {
    SCOPED_TRACE(nlohmann::json(mistake.arguments).dump());
    const Outcome outcome = run_convoy(folder, mistake.arguments);
    EXPECT_EQ(outcome.exit_code, mistake.exit_code);
    EXPECT_EQ(outcome.error.rfind("convoy: ", 0), 0u) << outcome.error;
    EXPECT_NE(outcome.error.find(mistake.told), std::string::npos) << outcome.error;
    EXPECT_EQ(std::count(outcome.error.begin(), outcome.error.end(), '\n'), 1) << outcome.error;
    EXPECT_EQ(folder.names(), before);
  }
}

}  // namespace
}  // namespace convoy
