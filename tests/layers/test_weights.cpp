// Weight files: layouts against a hand computation, round trips, refusals.
#include "layers/weights.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <numeric>

#include "layers/models.h"
#include "tensor/safetensors.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

class Weights : public testing::Test {
 protected:
  void TearDown() override { fs::remove(path_); }
  const fs::path path_ = fs::temp_directory_path() / fmt::format("convoy_weights_{}.safetensors", getpid());
};

Tensor counting(const Shape& shape) {
  std::vector<float> values(static_cast<size_t>(shape.count()));
  std::iota(values.begin(), values.end(), 0.0f);
  return Tensor::from(values, shape);
}

std::vector<float> values_of(const Tensor& tensor) {
  return {tensor.data<float>(), tensor.data<float>() + tensor.count()};
}

std::string refusal_of_loading(Module& module, const fs::path& path) {
  try {
    load_weights(module, path);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    const std::string message = error.what();
    EXPECT_TRUE(message.starts_with(path.string() + ": ")) << message;
    return message.substr(path.string().size() + 2);
  }
  return "accepted";
}

// All values of a module, to see whether a refused file changed any.
std::vector<float> snapshot(const Module& module) {
  std::vector<float> all;
  for (const auto& list : {module.parameters(), module.buffers()})
    for (const NamedVariable& entry : list)
      for (const float value : values_of(entry.variable.value())) all.push_back(value);
  return all;
}

TEST_F(Weights, filters_are_KCRS_in_files) {
  // Two filters of 1x2 taps over three channels: memory k,r,s,c counts channels fastest, the file columns.
  const Tensor memory = counting({2, 1, 2, 3});
  const Tensor file = to_file_layout(memory, {.kind = FileLayout::Kind::filter});
  EXPECT_EQ(file.shape(), Shape({2, 3, 1, 2}));
  EXPECT_EQ(values_of(file), (std::vector<float>{0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11}));
  EXPECT_EQ(values_of(from_file_layout(file, {.kind = FileLayout::Kind::filter}, memory.shape())), values_of(memory));
}

TEST_F(Weights, linears_behind_a_flatten_count_channels_first_in_files) {
  // One output over an image of 2x1 pixels and three channels: memory is p0c0 p0c1 p0c2 p1c0 p1c1 p1c2.
  const FileLayout layout{.kind = FileLayout::Kind::after_flatten, .h = 2, .w = 1, .c = 3};
  const Tensor memory = counting({2, 6});
  const Tensor file = to_file_layout(memory, layout);
  EXPECT_EQ(file.shape(), Shape({2, 6}));
  EXPECT_EQ(values_of(file), (std::vector<float>{0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11}));
  EXPECT_EQ(values_of(from_file_layout(file, layout, memory.shape())), values_of(memory));
}

TEST_F(Weights, a_round_trip_restores_every_value_of_every_model) {
  for (const char* name : {"mnist-cnn", "cifar-cnn", "lenet5",
                           "residual { conv 3 3x3 pad 1; bn }; relu; flatten; dropout 0.1; linear 10"}) {
    const auto saved = make_model(name, {16, 13, 3}, 10), loaded = make_model(name, {16, 13, 3}, 10);
    initialise(*saved, 1);
    initialise(*loaded, 2);
    for (NamedVariable& buffer : saved->buffers()) buffer.variable.value().data<float>()[0] = 0.625f;
    save_weights(*saved, path_);
    load_weights(*loaded, path_);
    EXPECT_EQ(snapshot(*saved), snapshot(*loaded)) << name;
  }
}

TEST_F(Weights, loaded_running_statistics_are_the_ones_batch_norm_uses) {
  BatchNorm2d saved(1), loaded(1);
  saved.buffers()[0].variable.value().data<float>()[0] = 3;
  save_weights(saved, path_);
  load_weights(loaded, path_);
  loaded.set_training(false);
  // (5 - 3) / sqrt(1 + 1e-5)
  EXPECT_NEAR(loaded(Variable(Tensor::full({1, 1, 1, 1}, 5))).value().item(), 2.0, 2e-5);
}

TEST_F(Weights, the_batch_counter_of_pytorch_is_accepted_where_a_batch_norm_is) {
  const auto model = make_model("conv 2 3x3; bn; flatten; linear 3", {3, 3, 1}, 3);
  save_weights(*model, path_);
  TensorFile file = read_safetensors(path_);
  file.tensors["1.num_batches_tracked"] = Tensor::from(std::vector<int32_t>{20}, {});
  write_safetensors(path_, file);
  EXPECT_EQ(refusal_of_loading(*model, path_), "accepted");
  file.tensors["0.num_batches_tracked"] = file.tensors["1.num_batches_tracked"];
  write_safetensors(path_, file);
  EXPECT_EQ(refusal_of_loading(*model, path_), "'0.num_batches_tracked' is not part of the model");
}

TEST_F(Weights, a_file_that_does_not_fit_is_refused_and_changes_nothing) {
  const auto model = make_model("mnist-cnn", {28, 28, 1}, 10);
  initialise(*model, 1);
  const std::vector<float> before = snapshot(*model);
  save_weights(*model, path_);
  const TensorFile good = read_safetensors(path_);

  TensorFile file = good;
  file.tensors["fc3.weight"] = file.tensors["fc2.weight"];
  file.tensors.erase("fc2.weight");
  write_safetensors(path_, file);
  EXPECT_EQ(refusal_of_loading(*model, path_), "no tensor 'fc2.weight'; the nearest name is 'fc3.weight'");

  file = good;
  file.tensors["fc3.weight"] = file.tensors["fc2.weight"];
  write_safetensors(path_, file);
  EXPECT_EQ(refusal_of_loading(*model, path_),
            "'fc3.weight' is not part of the model; the nearest name is 'fc1.weight'");

  // Our memory layout, which a careless exporter might write, is not the file's.
  file = good;
  file.tensors["conv1.weight"] = file.tensors["conv1.weight"].reshape({32, 3, 3, 1});
  write_safetensors(path_, file);
  EXPECT_EQ(refusal_of_loading(*model, path_), "'conv1.weight' is [32,3,3,1], the model expects [32,1,3,3]");

  file = good;
  file.tensors["fc2.bias"] = Tensor::zeros({10}, DType::bf16);
  write_safetensors(path_, file);
  EXPECT_EQ(refusal_of_loading(*model, path_), "'fc2.bias' holds bf16 values, the model expects f32");

  EXPECT_EQ(snapshot(*model), before);
}

}  // namespace
}  // namespace convoy
