// A state dict of PyTorch gives the logits in Convoy that it gives in PyTorch (cifar_cnn_logits.py).
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "layers/models.h"
#include "layers/weights.h"
#include "tensor/sha256.h"
#include "tests/uniform.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

// In [-scale, scale); exact, because scale is a power of two.
Tensor centred(uint64_t seed, const Shape& shape, float scale, float centre = 0) {
  std::vector<float> values = uniform(seed, shape.count());
  for (float& value : values) value = centre + (value * 2 - 1) * scale;
  return Tensor::from(values, shape);
}

// The largest power of two with which a sum of so many products keeps its size.
float scale_of(const Shape& shape) {
  const auto fan_in = static_cast<float>(shape.count() / shape[0]);
  float scale = 1;
  while (scale * scale * fan_in > 3) scale /= 2;
  return scale;
}

Tensor value_of(const std::string& name, uint64_t seed, const Shape& shape) {
  if (name.starts_with("bn"))
    return centred(seed, shape, 0.5f, name.ends_with(".weight") || name.ends_with(".running_var") ? 1 : 0);
  return centred(seed, shape, name.ends_with(".weight") ? scale_of(shape) : 0.125f);
}

TEST(PytorchWeights, of_cifar_cnn_give_the_logits_of_pytorch) {
  std::ifstream in(CONVOY_TEST_FILES "/reference_data/cifar_cnn_logits.json");
  const nlohmann::json reference = nlohmann::json::parse(in);
  const auto net = make_model("cifar-cnn", {32, 32, 3}, 10);
  TensorFile file;
  add_weights(weights_of(*net), file);  // for the names and shapes
  uint64_t seed = 1000;
  std::string bytes;
  for (auto& [name, tensor] : file.tensors) {
    tensor = value_of(name, seed++, tensor.shape());
    bytes.append(reinterpret_cast<const char*>(tensor.raw()), static_cast<size_t>(tensor.bytes()));
  }
  ASSERT_EQ(sha256(bytes), reference["weights_sha256"]);

  for (const char* counter : {"bn1.num_batches_tracked", "bn2.num_batches_tracked", "bn3.num_batches_tracked"})
    file.tensors[counter] = Tensor::from(std::vector<int32_t>{7}, {});
  const fs::path path = fs::temp_directory_path() / fmt::format("convoy_pytorch_{}.safetensors", getpid());
  write_safetensors(path, file);
  load_weights(*net, path);
  fs::remove(path);

  const Tensor images = centred(2000, {4, 3, 32, 32}, 2);
  net->set_training(false);
  const NoGrad no_grad;
  // Images are laid out in files as filters are: channels first.
  const Variable logits =
      (*net)(Variable(from_file_layout(images, {.kind = FileLayout::Kind::filter}, {4, 32, 32, 3})));
  double largest = 0;
  for (const auto& row : reference["logits"])
    for (const double expected : row) largest = std::max(largest, std::abs(expected));
  for (size_t image = 0; image < 4; ++image)
    for (size_t k = 0; k < 10; ++k)
      EXPECT_NEAR(logits.value().data<float>()[image * 10 + k], reference["logits"][image][k].get<double>(),
                  1e-5 * largest)
          << "logit " << k << " of image " << image;
}

}  // namespace
}  // namespace convoy
