// Models from a description: what the grammar accepts, and every error with its place.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "layers/models.h"

namespace convoy {
namespace {

std::string layers_of(Module& model) {
  std::string text;
  for (const auto& entry : model.modules()) text += fmt::format("{}: {}\n", entry.name, entry.module->describe());
  return text;
}

std::string refusal_of(std::string_view text, ImageExtent input = {28, 28, 1}, int64_t classes = 10) {
  try {
    parse_description(text, input, classes);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.what();
  }
  return "accepted";
}

TEST(Description, every_layer_and_option_builds_what_it_says) {
  const auto model = parse_description(
      "conv 32 3x3 pad 1; bn; relu; maxpool 2; conv 64 3x5 stride 2 pad 1x2 nobias; gelu; avgpool 3 stride 2 "
      "pad 1;"
      "sigmoid; maxpool 2x1 pad 1x0; tanh; globalavgpool; flatten; dropout 0.5; linear 20 nobias; bn; linear "
      "10",
      {28, 28, 1}, 10);
  EXPECT_EQ(layers_of(*model),
            ": Sequential(16 layers)\n0: Conv2d(1, 32, 3x3, pad 1)\n1: BatchNorm2d(32)\n2: ReLU()\n3: "
            "MaxPool2d(2x2)\n"
            "4: Conv2d(32, 64, 3x5, stride 2, pad 1x2, no bias)\n5: GELU()\n"
            "6: AveragePool2d(3x3, stride 2, pad 1)\n7: Sigmoid()\n8: MaxPool2d(2x1, pad 1x0)\n9: Tanh()\n"
            "10: GlobalAveragePool2d()\n11: Flatten()\n12: Dropout(0.5)\n13: Linear(64, 20, no bias)\n"
            "14: BatchNorm2d(20)\n15: Linear(20, 10)\n");
}

TEST(Description, line_breaks_separate_and_comments_are_skipped) {
  const auto model = parse_description(
      "# a small one; relu\n\n  conv 4 3   # three by three\n\trelu;;\r\n flatten\nlinear 10 # last", {5, 5, 2}, 10);
  EXPECT_EQ(layers_of(*model),
            ": Sequential(4 layers)\n0: Conv2d(2, 4, 3x3)\n1: ReLU()\n2: Flatten()\n3: Linear(36, 10)\n");
}

TEST(Description, residuals_nest_and_may_span_lines) {
  const auto model = parse_description(
      "residual {\n  conv 8 3x3 stride 2 pad 1; residual{conv 8 1; relu}; bn\n}\nshortcut { conv 8 1x1 "
      "stride 2 }\n"
      "relu; flatten; linear 10",
      {8, 8, 3}, 10);
  std::string names;
  for (const auto& entry : model->parameters()) names += fmt::format("{} {}\n", entry.name, entry.variable.shape());
  EXPECT_EQ(names,
            "0.body.0.weight [8,3,3,3]\n0.body.0.bias [8]\n0.body.1.body.0.weight [8,1,1,8]\n"
            "0.body.1.body.0.bias [8]\n0.body.2.weight [8]\n0.body.2.bias [8]\n0.shortcut.0.weight [8,1,1,3]\n"
            "0.shortcut.0.bias [8]\n3.weight [10,128]\n3.bias [10]\n");
  EXPECT_EQ((*model)(Variable(Tensor::zeros({2, 8, 8, 3}))).shape(), Shape({2, 10}));
}

TEST(Description, shapes_inferred_are_the_shapes_computed) {
  const auto model = parse_description(
      "conv 3 4x3 stride 3x2 pad 2; maxpool 3 stride 2 pad 1; avgpool 2x1; relu; flatten; linear 10", {29, 23, 2}, 10);
  EXPECT_EQ((*model)(Variable(Tensor::zeros({1, 29, 23, 2}))).shape(), Shape({1, 10}));
}

TEST(Description, a_linear_behind_a_flatten_knows_the_image_through_activations_and_dropout) {
  const auto model = parse_description("flatten; relu; dropout 0.5; linear 4; linear 10", {3, 5, 2}, 10);
  const FileLayout first = model->parameters()[0].layout, second = model->parameters()[2].layout;
  EXPECT_EQ(first.kind, FileLayout::Kind::after_flatten);
  EXPECT_EQ(std::tie(first.h, first.w, first.c), std::make_tuple(3, 5, 2));
  EXPECT_EQ(second.kind, FileLayout::Kind::same);
}

TEST(Description, errors_point_at_line_and_column) {
  EXPECT_EQ(refusal_of("conv 32 3x3; rellu; flatten; linear 10"),
            "model description:1:14: unknown layer 'rellu', did you mean 'relu'? Known: conv, linear, bn, "
            "relu, gelu, "
            "sigmoid, tanh, maxpool, avgpool, globalavgpool, flatten, dropout, residual\n"
            "  conv 32 3x3; rellu; flatten; linear 10\n"
            "               ^");
  EXPECT_EQ(refusal_of("conv 32 3x3\n# größer\n  linear 10 # größer"),
            "model description:3:3: linear works on features, but here are images of 26x26x32; put 'flatten' "
            "before "
            "it\n    linear 10 # größer\n    ^");
  EXPECT_EQ(refusal_of("flatten; größer"),
            "model description:1:10: unknown layer 'größer'. Known: conv, linear, bn, relu, gelu, sigmoid, tanh, "
            "maxpool, avgpool, globalavgpool, flatten, dropout, residual\n  flatten; größer\n           ^");
}

TEST(Description, a_long_line_is_shown_around_the_error) {
  std::string text;
  for (int i = 0; i < 50; ++i) text += "relu; ";
  const std::string message = refusal_of(text + "flatten; linear ten; " + text);
  const size_t line = message.find('\n') + 1, caret_line = message.find('\n', line) + 1;
  EXPECT_TRUE(message.starts_with("model description:1:317: 'ten' is not the number of features of linear")) << message;
  // Both lines in bytes; the ellipsis at the left is three bytes but one column.
  EXPECT_EQ(message.substr(message.find('^') - caret_line + line + 2, 3), "ten") << message;
  EXPECT_LE(caret_line - line, 120u);
}

TEST(Description, every_mistake_has_its_message) {
  const struct {
    const char *text, *message;  // the first line of the message without "model description:"
  } cases[] = {
      {"", "1:1: the description has no layers"},
      {" # nothing\n", "1:1: the description has no layers"},
      {"conv", "1:5: conv needs the number of filters: conv FILTERS KERNEL [stride S] [pad P] [nobias]"},
      {"conv 8; relu", "1:7: conv needs the kernel, such as 3x3: conv FILTERS KERNEL [stride S] [pad P] [nobias]"},
      {"conv 0 3x3", "1:6: '0' is not the number of filters of conv (a whole number from 1 to 1000000)"},
      {"conv 8.5 3x3", "1:6: '8.5' is not the number of filters of conv (a whole number from 1 to 1000000)"},
      {"conv 99999999999999999999 3x3",
       "1:6: '99999999999999999999' is not the number of filters of conv (a whole number from 1 to 1000000)"},
      {"conv 8 3x", "1:8: '3x' is not the kernel, such as 3x3 of conv (a whole number from 1 to 1000000)"},
      {"conv 8 3x3x3", "1:8: '3x3x3' is not the kernel, such as 3x3 of conv (a whole number from 1 to 1000000)"},
      {"conv 8 3x3 stride 0", "1:19: '0' is not the stride of conv (a whole number from 1 to 1000000)"},
      {"conv 8 3x3 pad -1", "1:16: '-1' is not the padding of conv (a whole number from 0 to 1000000)"},
      {"conv 8 3x3 pad", "1:15: conv needs the padding: conv FILTERS KERNEL [stride S] [pad P] [nobias]"},
      {"conv 8 3x3 padd 1", "1:12: unknown option of conv 'padd', did you mean 'pad'? Known: stride, pad, nobias"},
      {"conv 8 3x3 pad 1 pad 2", "1:18: conv has two options 'pad'"},
      {"conv 8 29x3", "1:1: the 29x3 window is larger than the image, 28x28 with padding 0"},
      {"conv 8 3x3 pad 1000000",
       "1:1: conv gives an image of 2000026x2000026, more than 1000000 pixels along one side"},
      {"relu 3", "1:6: '3' is one argument too many for 'relu'; separate layers with ';'"},
      {"conv 8 3x3 relu", "1:12: unknown option of conv 'relu'. Known: stride, pad, nobias"},
      {"maxpool 17", "1:9: a maxpool window has at most 256 pixels"},
      {"maxpool 2 pad 2", "1:15: the padding is at most half the window, 2x2"},
      {"avgpool 29", "1:1: the 29x29 window is larger than the image, 28x28 with padding 0"},
      {"dropout", "1:8: dropout needs the probability: dropout P"},
      {"dropout 1", "1:9: '1' is not the probability of dropout (at least 0, below 1)"},
      {"dropout nan", "1:9: 'nan' is not the probability of dropout (at least 0, below 1)"},
      {"flatten; conv 8 3x3", "1:10: conv works on images, but here are 784 features"},
      {"conv 2 3x3; flatten; maxpool 2",
       "1:22: maxpool works on images, but here are 1352 features, flattened from 26x26x2"},
      {"conv 2 3x3; flatten; bn", "1:22: bn works on images or behind a linear; put it before 'flatten'"},
      {"conv 1000 1; flatten; linear 100000",
       "1:23: 784000 inputs times 100000 outputs are more weights than the 2147483648 supported"},
      {"re\x1blu",
       "1:1: unknown layer 're?lu', did you mean 'relu'? Known: conv, linear, bn, relu, gelu, sigmoid, tanh, "
       "maxpool, avgpool, globalavgpool, flatten, dropout, residual"},
      {"flatten; linear 100",
       "1:10: the last layer gives 100 features, the data set has 10 classes; end with 'linear 10'"},
      {"conv 10 28",
       "1:1: the last layer gives images of 1x1x10, not 10 numbers per image; end with 'flatten; linear 10'"},
      {"residual conv", "1:10: residual needs a block: residual { LAYERS } [shortcut { LAYERS }]"},
      {"residual { relu", "1:10: this '{' is never closed"},
      {"relu }", "1:6: '}' without a '{'"},
      {"relu; }", "1:7: '}' without a layer before it"},
      {"relu { relu }", "1:6: '{' does not belong behind relu"},
      {"{ relu }", "1:1: '{' without a layer before it"},
      {"relu; shortcut { relu }", "1:7: 'shortcut' belongs right behind the '}' of a residual"},
      {"residual { conv 4 3x3 pad 1 }",
       "1:1: the body of the residual gives images of 28x28x4, its shortcut images of 28x28x1; add a "
       "'shortcut { … }' "
       "that ends in the same shape"},
      {"relu; residual { conv 4 3x3 pad 1 } shortcut { conv 4 3x3 }",
       "1:7: the body of the residual gives images of 28x28x4, its shortcut images of 26x26x4"},
      {"residual { flatten } shortcut { flatten; linear 784; linear 783 }",
       "1:1: the body of the residual gives 784 features, its shortcut 783 features"},
      {"conv 2 27; flatten; residual { linear 8 }",
       "1:21: the body of the residual gives 8 features, its shortcut 8 features, flattened from 2x2x2; add "
       "a "
       "'shortcut { … }' that ends in the same shape"},
  };
  for (const auto& [text, expected] : cases) {
    const std::string message = refusal_of(text);
    EXPECT_EQ(message.substr(0, message.find('\n')), std::string("model description:") + expected) << text;
  }
}

TEST(Description, a_model_with_too_many_weights_is_refused_before_it_takes_their_memory) {
  const auto refusal = [](const char* text, int64_t most_weights) {
    try {
      parse_description(text, {28, 28, 1}, 10, "model", most_weights);
    } catch (const Error& error) {
      const std::string message = error.what();
      return message.substr(0, message.find('\n'));
    }
    return std::string("accepted");
  };
  const char* const net = "conv 2 3; bn; flatten; linear 10";  // 20 + 8 + 13530 weights
  EXPECT_EQ(refusal(net, 13558), "accepted");
  EXPECT_EQ(
      refusal(net, 13557),
      "model:1:24: the 13530 weights of this linear are too many: beside those before it, this machine's memory has "
      "room for training 13529 more");
  EXPECT_NE(refusal(net, 27).find("the 8 weights of this bn"), std::string::npos);
  EXPECT_NE(refusal(net, 19).find("the 20 weights of this conv"), std::string::npos);

  // What may be without being told otherwise: four times four bytes each fit this machine's memory.
  EXPECT_LE(weights_that_fit(), sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / 16);
  EXPECT_GT(weights_that_fit(), 10'000'000);
}

TEST(Description, deep_nesting_is_refused_before_the_stack_is_gone) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "residual{";
  const std::string message = refusal_of(text);
  EXPECT_NE(message.find("blocks are nested more than 32 deep"), std::string::npos) << message.substr(0, 200);
}

TEST(Description, any_damage_to_a_description_is_refused_or_builds) {
  const std::string text =
      "conv 4 3x3 stride 2; bn; residual { conv 4 1x1 } shortcut { relu }; maxpool 2 pad 1; flatten; linear "
      "10";
  for (size_t i = 0; i < text.size(); ++i)
    for (const char letter : {' ', ';', '{', '}', '#', 'x', '0', '9', '\n', '\0', '\xC3'}) {
      std::string damaged = text;
      damaged[i] = letter;
      refusal_of(damaged, {8, 8, 1});
      refusal_of(text.substr(0, i) + letter + text.substr(i), {8, 8, 1});
    }
}

TEST(Description, files_are_read_and_named_in_errors) {
  const std::string path =
      (std::filesystem::temp_directory_path() / fmt::format("convoy net {}.txt", getpid())).string();
  std::ofstream(path) << "flatten\nlinear 10\n";
  EXPECT_EQ(make_model("@" + path, {4, 4, 1}, 10)->parameters().size(), 2u);
  std::ofstream(path) << "flatten\nlinear 11\n";
  const auto refusal = [&] {
    try {
      make_model("@" + path, {4, 4, 1}, 10);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_EQ(refusal(), path +
                           ":2:1: the last layer gives 11 features, the data set has 10 classes; end with 'linear "
                           "10'\n  linear 11\n  ^");
  std::ofstream(path) << "";
  EXPECT_EQ(refusal(), path + ": the model description is missing, empty or cannot be read");
  std::ofstream(path) << std::string((1 << 20) + 1, ' ');
  EXPECT_EQ(refusal(), path + ": not a model description, which is a text file of at most 1048576 bytes");
  std::filesystem::remove(path);
  EXPECT_EQ(refusal(), path + ": the model description is missing, empty or cannot be read");
}

TEST(Description, help_lists_every_keyword_with_its_syntax) {
  const std::string help = description_help();
  for (const char* line : {"  conv FILTERS KERNEL [stride S] [pad P] [nobias]  ",
                           "  residual { LAYERS } [shortcut { LAYERS }]", "  dropout P  ", "  globalavgpool  "})
    EXPECT_NE(help.find(line), std::string::npos) << line << "\n" << help;
}

}  // namespace
}  // namespace convoy
