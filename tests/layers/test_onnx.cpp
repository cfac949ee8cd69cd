// Networks as ONNX graphs: operators, names, layouts, refusals, bytes. What ONNX Runtime makes of them is seen in
// tests/apps/test_interchange.cpp.
#include "layers/onnx.h"

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cstring>

#include "layers/models.h"
#include "layers/weights.h"
#include "tests/tensor/error_message.h"

namespace convoy {
namespace {

using namespace std::string_literals;

std::string text_of(const OnnxAttribute& attribute) {
  if (const auto* real = std::get_if<float>(&attribute.value)) return fmt::format("{}={}", attribute.name, *real);
  if (const auto* whole = std::get_if<int64_t>(&attribute.value)) return fmt::format("{}={}", attribute.name, *whole);
  return fmt::format("{}={}", attribute.name, fmt::join(std::get<std::vector<int64_t>>(attribute.value), ","));
}

// One operator a line: "Conv_0 = Conv(images, 0.weight) kernel_shape=3,3 strides=1,1 pads=0,0,0,0".
std::string text_of(const OnnxGraph& graph) {
  std::string text;
  for (const OnnxNode& node : graph.nodes) {
    text += fmt::format("{} = {}({})", node.output, node.op, fmt::join(node.inputs, ", "));
    for (const OnnxAttribute& attribute : node.attributes) text += fmt::format(" {}", text_of(attribute));
    text += "\n";
  }
  return text;
}

std::string text_of(const char* model, ImageExtent input, int64_t classes = 10) {
  return text_of(onnx_graph(*make_model(model, input, classes), input));
}

TEST(Onnx, a_description_becomes_a_chain_of_operators) {
  EXPECT_EQ(
      text_of("conv 4 3x5 stride 2x1 pad 1x2; bn; relu; maxpool 2x3 stride 1 pad 1; dropout 0.5; avgpool 2 pad 1; "
              "flatten; linear 7 nobias; tanh; linear 10",
              {9, 8, 3}),
      "Conv_0 = Conv(images, 0.weight, 0.bias) kernel_shape=3,5 strides=2,1 pads=1,2,1,2\n"
      "BatchNormalization_1 = BatchNormalization(Conv_0, 1.weight, 1.bias, 1.running_mean, 1.running_var) "
      "epsilon=1e-05\n"
      "Relu_2 = Relu(BatchNormalization_1)\n"
      "MaxPool_3 = MaxPool(Relu_2) kernel_shape=2,3 strides=1,1 pads=1,1,1,1\n"
      "AveragePool_4 = AveragePool(MaxPool_3) kernel_shape=2,2 strides=2,2 pads=1,1,1,1 count_include_pad=1\n"
      "Flatten_5 = Flatten(AveragePool_4) axis=1\n"
      "Gemm_6 = Gemm(Flatten_5, 7.weight) transB=1\n"
      "Tanh_7 = Tanh(Gemm_6)\n"
      "logits = Gemm(Tanh_7, 9.weight, 9.bias) transB=1\n");
}

TEST(Onnx, both_branches_of_a_residual_are_added) {
  EXPECT_EQ(text_of("conv 2 1x1 nobias; residual { conv 2 3x3 pad 1 nobias } shortcut { sigmoid }; relu; "
                    "residual { gelu }; globalavgpool; flatten",
                    {4, 4, 3}, 2),
            "Conv_0 = Conv(images, 0.weight) kernel_shape=1,1 strides=1,1 pads=0,0,0,0\n"
            "Conv_1 = Conv(Conv_0, 1.body.0.weight) kernel_shape=3,3 strides=1,1 pads=1,1,1,1\n"
            "Sigmoid_2 = Sigmoid(Conv_0)\n"
            "Add_3 = Add(Conv_1, Sigmoid_2)\n"
            "Relu_4 = Relu(Add_3)\n"
            "Mul_5 = Mul(Relu_4, gelu.sqrt_half)\n"
            "Erf_6 = Erf(Mul_5)\n"
            "Add_7 = Add(Erf_6, gelu.one)\n"
            "Mul_8 = Mul(Relu_4, Add_7)\n"
            "Mul_9 = Mul(Mul_8, gelu.half)\n"
            "Add_10 = Add(Mul_9, Relu_4)\n"
            "GlobalAveragePool_11 = GlobalAveragePool(Add_10)\n"
            "logits = Flatten(GlobalAveragePool_11) axis=1\n");
}

TEST(Onnx, activations_that_are_fused_in_named_networks_are_operators_of_their_own) {
  EXPECT_EQ(text_of("mnist-cnn", {28, 28, 1}),
            "Conv_0 = Conv(images, conv1.weight, conv1.bias) kernel_shape=3,3 strides=1,1 pads=0,0,0,0\n"
            "Relu_1 = Relu(Conv_0)\n"
            "Flatten_2 = Flatten(Relu_1) axis=1\n"
            "Gemm_3 = Gemm(Flatten_2, fc1.weight, fc1.bias) transB=1\n"
            "Relu_4 = Relu(Gemm_3)\n"
            "logits = Gemm(Relu_4, fc2.weight, fc2.bias) transB=1\n");
}

TEST(Onnx, every_network_has_all_weights_as_files_have_them) {
  for (const ModelRow& row : model_table()) {
    SCOPED_TRACE(row.name);
    const ImageExtent input{32, 33, 3};
    const auto net = row.build(input, 10);
    initialise(*net, 1);
    const OnnxGraph graph = onnx_graph(*net, input);
    EXPECT_EQ(graph.input.extents, (std::vector<int64_t>{3, 32, 33}));
    EXPECT_EQ(graph.output.extents, std::vector<int64_t>{10});
    TensorFile file;
    add_weights(weights_of(*net), file);
    EXPECT_EQ(graph.parameters.size(), file.tensors.size());
    for (const auto& [name, tensor] : graph.parameters) {
      const Tensor& expected = file.tensors.at(name);
      EXPECT_EQ(tensor.shape(), expected.shape()) << name;
      EXPECT_EQ(std::memcmp(tensor.raw(), expected.raw(), static_cast<size_t>(expected.bytes())), 0) << name;
    }
  }
}

TEST(Onnx, one_layer_that_is_called_twice_has_its_weights_once) {
  class Twice : public Module {
   public:
    std::string describe() const override { return "Twice()"; }

   protected:
    Variable forward(const Variable& x) override { return fc_(fc_(flatten(x))); }

   private:
    Linear& fc_ = add<Linear>("fc", 3, 3);
  } net;
  const OnnxGraph graph = onnx_graph(net, {1, 1, 3});
  EXPECT_EQ(graph.nodes.size(), 3u);
  EXPECT_EQ(graph.parameters.size(), 2u);
}

// A network of one function.
class Of : public Module {
 public:
  explicit Of(Variable (*function)(const Variable&)) : function_(function) {}
  std::string describe() const override { return "Of()"; }

 protected:
  Variable forward(const Variable& x) override { return function_(x); }

 private:
  Variable (*function_)(const Variable&);
};

TEST(Onnx, what_has_no_operator_is_refused) {
  Of scaled([](const Variable& x) { return flatten(scale(x, 2)); });
  const Error error = error_of([&] { onnx_graph(scaled, {1, 1, 3}); });
  EXPECT_EQ(error.kind(), ErrorKind::usage);
  EXPECT_STREQ(error.what(), "onnx: the network calls 'scale', for which layers/onnx.cpp has no operator");

  Of made_up([](const Variable& x) { return flatten(relu(Variable(x.value().clone()))); });
  EXPECT_STREQ(error_of([&] {
                 onnx_graph(made_up, {1, 1, 3});
               }).what(),
               "onnx: the network uses values [1,1,1,3] that no differentiable function has given");

  Of turned([](const Variable& x) { return reshape(x, {3, 1}); });
  EXPECT_STREQ(error_of([&] {
                 onnx_graph(turned, {1, 1, 3});
               }).what(),
               "onnx: the network reshapes [1,1,1,3] to [3,1], only images and features can be flattened");

  Of unflattened([](const Variable& x) { return relu(x); });
  EXPECT_STREQ(error_of([&] {
                 onnx_graph(unflattened, {1, 1, 3});
               }).what(),
               "onnx: the network gives [1,1,1,3], expected [batch, classes]");
}

// In memory channels are counted first, in ONNX last; only a Linear that knows of it can stand between.
TEST(Onnx, results_that_depend_on_the_order_of_a_flattened_image_are_refused) {
  EXPECT_STREQ(error_of([] {
                 text_of("flatten; relu", {2, 1, 3}, 6);
               }).what(),
               "onnx: the logits are an image of 2x1x3 that was flattened, in an order that ONNX does not have; end "
               "with a linear layer");
  EXPECT_EQ(text_of("flatten;", {2, 3, 1}, 6), "logits = Flatten(images) axis=1\n");
  EXPECT_EQ(text_of("flatten;", {1, 1, 6}, 6), "logits = Flatten(images) axis=1\n");

  Sequential unaware;
  unaware.append(std::make_unique<Flatten>());
  unaware.append(std::make_unique<Linear>(6, 2));
  EXPECT_STREQ(error_of([&] {
                 onnx_graph(unaware, {2, 1, 3});
               }).what(),
               "onnx: 1.weight belongs behind another flattened image than 2x1x3");

  auto body = std::make_unique<Linear>(6, 6, ImageExtent{2, 1, 3});
  Sequential mixed;
  mixed.append(std::make_unique<Flatten>());
  mixed.append(std::make_unique<Residual>(std::move(body)));
  EXPECT_STREQ(error_of([&] {
                 onnx_graph(mixed, {2, 1, 3});
               }).what(),
               "onnx: the network combines features of a flattened image with others");

  Sequential normalised;
  normalised.append(std::make_unique<Flatten>());
  normalised.append(std::make_unique<BatchNorm2d>(6));
  EXPECT_STREQ(error_of([&] {
                 onnx_graph(normalised, {2, 1, 3});
               }).what(),
               "onnx: a batch norm works on an image of 2x1x3 that was flattened");
}

TEST(Onnx, bytes_are_those_of_the_onnx_package) {
  const ImageExtent input{1, 2, 1};
  const auto net = make_model("conv 1 1x2 nobias; relu; flatten; linear 1", input, 1);
  const std::vector<std::vector<float>> values{{1, 2}, {0.5f}, {-1}};
  const std::vector<NamedVariable> parameters = net->parameters();
  ASSERT_EQ(parameters.size(), values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    Tensor value = parameters[i].variable.value();
    std::copy(values[i].begin(), values[i].end(), value.data<float>());
  }
  // The message that the Python package onnx 1.23 builds of the same parts, and that its checker accepts.
  const std::string expected =
      "\010\010\022\006convoy:\361\003\012d\012\006images\012\0100.weight\022\006Conv_0\032\006Conv_0\042\004Conv"
      "*\025\012\014kernel_shape@\001@\002\240\001\007*\020\012\007strides@\001@\001\240\001\007*\021\012\004pads"
      "@\000@\000@\000@\000\240\001\007\012\036\012\006Conv_0\022\006Relu_1\032\006Relu_1\042\004Relu\0124\012"
      "\006Relu_1\022\011Flatten_2\032\011Flatten_2\042\007Flatten*\013\012\004axis\030\001\240\001\002\012B\012"
      "\011Flatten_2\012\0103.weight\012\0063.bias\022\006logits\032\006logits\042\004Gemm*\015\012\006transB\030"
      "\001\240\001\002\022\006convoy*\036\010\001\010\001\010\001\010\002\020\001B\0100.weightJ\010\000\000\200\?"
      "\000\000\000@*\026\010\001\010\001\020\001B\0103.weightJ\004\000\000\000\?*\022\010\001\020\001B\0063.biasJ"
      "\004\000\000\200\277Zl\012\006images\022\033\012\031\010\001\022\025\012\007\022\005batch\012\002\010\001"
      "\012\002\010\001\012\002\010\002\032Enormalised as in training: (pixel / 255 - mean) / std of each channel"
      "b-\012\006logits\022\023\012\021\010\001\022\015\012\007\022\005batch\012\002\010\001\032\016before softma"
      "xB\002\020\021r\015\012\005model\022\004tiny"s;
  EXPECT_EQ(onnx_bytes(onnx_graph(*net, input), {{"model", "tiny"}}), expected);
}

}  // namespace
}  // namespace convoy
