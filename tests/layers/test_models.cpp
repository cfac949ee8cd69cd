// The named models: PyTorch's names and shapes, other extents, refusals.
#include "layers/models.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "layers/weights.h"

namespace convoy {
namespace {

std::string shapes_of(const Module& model) {
  std::string text;
  for (const NamedVariable& entry : model.parameters())
    text += fmt::format("{} {}\n", entry.name, to_file_layout(entry.variable.value(), entry.layout).shape());
  for (const NamedVariable& entry : model.buffers())
    text += fmt::format("{} {} (buffer)\n", entry.name, entry.variable.shape());
  return text;
}

int64_t parameter_count(const Module& model) {
  int64_t count = 0;
  for (const NamedVariable& entry : model.parameters()) count += entry.variable.shape().count();
  return count;
}

std::string refusal_of(std::string_view model, ImageExtent input, int64_t classes) {
  try {
    make_model(model, input, classes);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.what();
  }
  return "accepted";
}

TEST(Models, mnist_cnn_has_the_parameters_of_its_pytorch_original) {
  EXPECT_EQ(shapes_of(*make_model("mnist-cnn", {28, 28, 1}, 10)),
            "conv1.weight [32,1,3,3]\nconv1.bias [32]\nfc1.weight [128,21632]\nfc1.bias [128]\n"
            "fc2.weight [10,128]\nfc2.bias [10]\n");
}

TEST(Models, cifar_cnn_has_the_parameters_and_buffers_of_its_pytorch_original) {
  EXPECT_EQ(shapes_of(*make_model("cifar-cnn", {32, 32, 3}, 10)),
            "conv1.weight [32,3,3,3]\nconv1.bias [32]\nbn1.weight [32]\nbn1.bias [32]\n"
            "conv2.weight [64,32,3,3]\nconv2.bias [64]\nbn2.weight [64]\nbn2.bias [64]\n"
            "conv3.weight [128,64,3,3]\nconv3.bias [128]\nbn3.weight [128]\nbn3.bias [128]\n"
            "fc1.weight [512,2048]\nfc1.bias [512]\nfc2.weight [10,512]\nfc2.bias [10]\n"
            "bn1.running_mean [32] (buffer)\nbn1.running_var [32] (buffer)\nbn2.running_mean [64] (buffer)\n"
            "bn2.running_var [64] (buffer)\nbn3.running_mean [128] (buffer)\nbn3.running_var [128] (buffer)\n");
}

TEST(Models, lenet5_has_the_layers_of_the_paper) {
  const char* expected =
      "conv1.weight [6,1,5,5]\nconv1.bias [6]\nconv2.weight [16,6,5,5]\nconv2.bias [16]\n"
      "fc1.weight [120,400]\nfc1.bias [120]\nfc2.weight [84,120]\nfc2.bias [84]\nfc3.weight "
      "[10,84]\nfc3.bias "
      "[10]\n";
  EXPECT_EQ(shapes_of(*make_model("lenet5", {28, 28, 1}, 10)), expected);
  EXPECT_EQ(shapes_of(*make_model("lenet5", {32, 32, 1}, 10)), expected);
}

TEST(Models, resnet18_has_the_names_and_shapes_of_torchvision) {
  const auto model = make_model("resnet18", {32, 32, 3}, 10);
  EXPECT_EQ(parameter_count(*model), 11'173'962);  // the usual count of the CIFAR form
  EXPECT_EQ(model->parameters().size(), 62u);      // as many as torchvision.models.resnet18().parameters()
  std::map<std::string, Shape> shapes;
  for (const NamedVariable& entry : model->parameters())
    shapes[entry.name] = to_file_layout(entry.variable.value(), entry.layout).shape();
  for (const NamedVariable& entry : model->buffers()) shapes[entry.name] = entry.variable.shape();
  EXPECT_EQ(shapes.at("conv1.weight"), Shape({64, 3, 3, 3}));
  EXPECT_EQ(shapes.at("bn1.running_var"), Shape({64}));
  EXPECT_EQ(shapes.at("layer1.1.conv2.weight"), Shape({64, 64, 3, 3}));
  EXPECT_EQ(shapes.at("layer2.0.conv1.weight"), Shape({128, 64, 3, 3}));
  EXPECT_EQ(shapes.at("layer2.0.downsample.0.weight"), Shape({128, 64, 1, 1}));
  EXPECT_EQ(shapes.at("layer3.0.downsample.1.running_mean"), Shape({256}));
  EXPECT_EQ(shapes.at("layer4.1.bn2.bias"), Shape({512}));
  EXPECT_EQ(shapes.at("fc.weight"), Shape({10, 512}));
  EXPECT_EQ(shapes.at("fc.bias"), Shape({10}));
  EXPECT_FALSE(shapes.contains("layer1.0.downsample.0.weight"));
  EXPECT_FALSE(shapes.contains("conv1.bias"));
}

TEST(Models, every_model_maps_images_of_any_sufficient_extent_to_logits) {
  const NoGrad no_grad;
  for (const ModelRow& row : model_table())
    for (const ImageExtent& extent : {ImageExtent{28, 28, 1}, ImageExtent{32, 32, 3}, ImageExtent{13, 17, 2}}) {
      const auto model = row.build(extent, 7);
      initialise(*model, 1);
      const Variable logits = (*model)(Variable(Tensor::full({3, extent.h, extent.w, extent.c}, 0.5f)));
      EXPECT_EQ(logits.shape(), Shape({3, 7})) << row.name;
    }
}

TEST(Models, every_parameter_of_every_model_gets_a_gradient) {
  for (const ModelRow& row : model_table()) {
    const auto model = row.build({13, 12, 2}, 3);
    initialise(*model, 1);
    Tensor images = Tensor::empty({4, 13, 12, 2});
    for (int64_t i = 0; i < images.count(); ++i)
      images.data<float>()[i] = random_uniform({.seed = 9}, static_cast<uint64_t>(i)) - 0.5f;
    softmax_cross_entropy((*model)(Variable(images)), Tensor::from(std::vector<int32_t>{0, 1, 2, 1}, {4})).backward();
    for (const NamedVariable& entry : model->parameters()) {
      ASSERT_TRUE(entry.variable.has_grad()) << row.name << " " << entry.name;
      double magnitude = 0;
      for (int64_t i = 0; i < entry.variable.shape().count(); ++i)
        magnitude += std::abs(entry.variable.grad().data<float>()[i]);
      EXPECT_TRUE(std::isfinite(magnitude) && magnitude > 0) << row.name << " " << entry.name;
    }
  }
}

TEST(Models, images_too_small_for_a_model_are_refused_by_name) {
  EXPECT_EQ(refusal_of("mnist-cnn", {28, 2, 1}, 10), "mnist-cnn: images of 28x2 are too small, it needs at least 3x3");
  EXPECT_EQ(refusal_of("cifar-cnn", {7, 32, 3}, 10),
            "cifar-cnn: images of 7x32 are too small, it halves them three times and needs at least 8x8");
  EXPECT_EQ(refusal_of("lenet5", {11, 12, 1}, 10), "lenet5: images of 11x12 are too small, it needs at least 12x12");
  EXPECT_EQ(refusal_of("lenet5", {12, 12, 1}, 10), "accepted");
  EXPECT_EQ(refusal_of("resnet18", {0, 12, 1}, 10), "model: images of 0x12x1 are empty");
  EXPECT_EQ(refusal_of("resnet18", {8, 8, 1}, 0), "model: 0 classes, at least one is needed");
}

TEST(Models, an_unknown_name_suggests_the_nearest) {
  EXPECT_EQ(refusal_of("resnt18", {32, 32, 3}, 10),
            "unknown model 'resnt18', did you mean 'resnet18'? Known: mnist-cnn, cifar-cnn, lenet5, resnet18");
}

TEST(Models, multiply_adds_count_what_a_forward_pass_multiplies) {
  // mnist-cnn at one image: 26*26*32 outputs of 9 taps, 21632*128 and 128*10 weights.
  const auto model = make_model("mnist-cnn", {28, 28, 1}, 10);
  int64_t total = 0;
  {
    const NoGrad no_grad;
    const ForwardObserver observer(
        [&](const Module& module, const Variable& y) { total += module.multiply_adds(y.shape()); });
    (*model)(Variable(Tensor::zeros({1, 28, 28, 1})));
  }
  EXPECT_EQ(total, 26 * 26 * 32 * 9 + 21632 * 128 + 128 * 10);
}

}  // namespace
}  // namespace convoy
