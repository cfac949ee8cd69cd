#include "layers/models.h"

#include <array>
#include <fstream>

#include "layers/named_models.h"
#include "tensor/find_row.h"
#include "tensor/physical_memory.h"

namespace convoy {
namespace {

constexpr std::array kModels = {
    ModelRow{"mnist-cnn", "Conv 32, Linear 128: one convolution, the small comparison network", build_mnist_cnn},
    ModelRow{"cifar-cnn", "three Conv-BN-ReLU-MaxPool blocks (32, 64, 128), Linear 512", build_cifar_cnn},
    ModelRow{"lenet5", "LeNet-5 with ReLU and max pooling", build_lenet5},
    ModelRow{"resnet18", "ResNet-18 in its CIFAR form: 3x3 stem, no max pool", build_resnet18},
};

constexpr std::streamsize kLargestDescription = 1 << 20;  // bytes; a file beyond that is not a description

std::string read_description(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text;
  if (in) {
    text.resize(static_cast<size_t>(kLargestDescription) + 1);
    in.read(text.data(), kLargestDescription + 1);
    CHECK(!in.bad() && in.gcount() <= kLargestDescription,
          "{}: not a model description, which is a text file of at most {} bytes", path, kLargestDescription);
    text.resize(static_cast<size_t>(in.gcount()));
  }
  CHECK(!text.empty(), "{}: the model description is missing, empty or cannot be read", path);
  return text;
}

}  // namespace

std::span<const ModelRow> model_table() { return kModels; }

int64_t weights_that_fit() {
  constexpr int64_t kBytes = 4 * sizeof(float);  // weight, gradient, two moments
  const int64_t memory = memory_in_bytes();
  return memory > 0 ? memory / kBytes : INT64_MAX;
}

std::unique_ptr<Module> make_model(std::string_view model, ImageExtent input, int64_t classes) {
  CHECK(input.h > 0 && input.w > 0 && input.c > 0, "model: images of {}x{}x{} are empty", input.h, input.w, input.c);
  CHECK(classes > 0, "model: {} classes, at least one is needed", classes);
  if (model.starts_with('@')) {
    const std::string path(model.substr(1));
    return parse_description(read_description(path), input, classes, path);
  }
  if (model.find_first_of(" ;{\n") != std::string_view::npos) return parse_description(model, input, classes);

  return find_row("model", model, kModels).build(input, classes);
}

}  // namespace convoy
