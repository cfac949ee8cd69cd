// The layers a model description can name: how each reads its arguments, checks them and changes what flows
// on; and the entry points.
#include <algorithm>
#include <array>

#include "layers/description_parser.h"
#include "layers/models.h"
#include "layers/window_text.h"

namespace convoy {
namespace {

constexpr int64_t kLargestWeight = int64_t{1} << 31;  // elements

using Built = std::unique_ptr<Module>;

void check_images(const Parser& parser, const Flow& flow) {
  if (!flow.images)
    parser.fail_at_layer(fmt::format("{} works on images, but here are {}", parser.layer().text, flow.text()));
}

// The extent after a window of `size` has moved over the image.
ImageExtent slide(const Parser& parser, const ImageExtent& in, Window size, Window stride, Window pad,
                  int64_t channels) {
  const Window padded{in.h + 2 * pad.h, in.w + 2 * pad.w};
  if (size.h > padded.h || size.w > padded.w)
    parser.fail_at_layer(fmt::format("the {} window is larger than the image, {}x{} with padding {}", text_of(size),
                                     in.h, in.w, short_text_of(pad)));
  const ImageExtent out{(padded.h - size.h) / stride.h + 1, (padded.w - size.w) / stride.w + 1, channels};
  if (out.h > kLargestNumber || out.w > kLargestNumber)
    parser.fail_at_layer(fmt::format("{} gives an image of {}x{}, more than {} pixels along one side",
                                     parser.layer().text, out.h, out.w, kLargestNumber));
  return out;
}

void check_weight(Parser& parser, int64_t in, int64_t out, bool bias) {
  if (in > kLargestWeight / out)
    parser.fail_at_layer(
        fmt::format("{} inputs times {} outputs are more weights than the {} supported", in, out, kLargestWeight));
  parser.take_weights(in * out + (bias ? out : 0));
}

Built build_conv(Parser& parser, Flow& flow) {
  check_images(parser, flow);
  Conv2dOptions options{.in = flow.extent.c, .out = parser.number("the number of filters", 1)};
  options.kernel = parser.window("the kernel, such as 3x3");
  while (parser.more_arguments()) {
    const std::string option = parser.option({"stride", "pad", "nobias"});
    if (option == "stride") options.stride = parser.window("the stride");
    if (option == "pad") options.pad = parser.window("the padding", 0);
    if (option == "nobias") options.bias = false;
  }
  check_weight(parser, options.in * options.kernel.h * options.kernel.w, options.out, options.bias);
  flow.extent = slide(parser, flow.extent, options.kernel, options.stride, options.pad, options.out);
  return std::make_unique<Conv2d>(options);
}

Built build_linear(Parser& parser, Flow& flow) {
  if (flow.images)
    parser.fail_at_layer(
        fmt::format("linear works on features, but here are {}; put 'flatten' before it", flow.text()));
  const int64_t out = parser.number("the number of features", 1);
  bool bias = true;
  while (parser.more_arguments()) bias = parser.option({"nobias"}) != "nobias";
  check_weight(parser, flow.features(), out, bias);
  auto layer = std::make_unique<Linear>(flow.features(), out, flow.extent, bias);
  flow.extent = {1, 1, out};
  return layer;
}

Built build_batch_norm(Parser& parser, Flow& flow) {
  if (!flow.images && flow.extent.h * flow.extent.w > 1)
    parser.fail_at_layer("bn works on images or behind a linear; put it before 'flatten'");
  parser.take_weights(4 * flow.extent.c);  // scale, shift, mean and variance
  return std::make_unique<BatchNorm2d>(flow.extent.c);
}

template <class Pool>
Built build_pool(Parser& parser, Flow& flow) {
  check_images(parser, flow);
  const Window size = parser.window("the window, such as 2");
  constexpr int64_t kLargestMaxWindow = 256;  // the position of the maximum is kept in a byte
  if (std::is_same_v<Pool, MaxPool2d> && size.h > kLargestMaxWindow / size.w)
    parser.fail_at_argument(fmt::format("a maxpool window has at most {} pixels", kLargestMaxWindow));
  Window stride = size, pad{0, 0};
  while (parser.more_arguments()) {
    const std::string option = parser.option({"stride", "pad"});
    if (option == "stride") stride = parser.window("the stride");
    if (option == "pad") {
      pad = parser.window("the padding", 0);
      if (2 * pad.h > size.h || 2 * pad.w > size.w)
        parser.fail_at_argument(fmt::format("the padding is at most half the window, {}", text_of(size)));
    }
  }
  flow.extent = slide(parser, flow.extent, size, stride, pad, flow.extent.c);
  return std::make_unique<Pool>(size, stride, pad);
}

Built build_global_pool(Parser& parser, Flow& flow) {
  check_images(parser, flow);
  flow.extent = {1, 1, flow.extent.c};
  return std::make_unique<GlobalAveragePool2d>();
}

Built build_flatten(Parser&, Flow& flow) {
  flow.images = false;
  if (flow.extent.c == 1) flow.extent = {1, 1, flow.features()};  // HWC and CHW order are the same
  return std::make_unique<Flatten>();
}

template <Unary function>
Built build_unary(Parser&, Flow&) {
  return std::make_unique<UnaryLayer>(function);
}

Built build_dropout(Parser& parser, Flow&) { return std::make_unique<Dropout>(parser.fraction("the probability")); }

Built build_residual(Parser& parser, Flow& flow) {
  const Token keyword = parser.layer();
  Flow shortcut_flow = flow;
  auto body = parser.block(flow);
  std::unique_ptr<Sequential> shortcut;
  if (parser.accept_after_separators("shortcut")) shortcut = parser.block(shortcut_flow);
  if (flow != shortcut_flow)
    parser.fail_at(keyword.offset, fmt::format("the body of the residual gives {}, its shortcut {}{}", flow.text(),
                                               shortcut_flow.text(),
                                               shortcut ? "" : "; add a 'shortcut { … }' that ends in the same shape"));
  return std::make_unique<Residual>(std::move(body), std::move(shortcut));
}

constexpr std::array kLayers = {
    LayerKeyword{"conv", "FILTERS KERNEL [stride S] [pad P] [nobias]", "2-d convolution: conv 64 3x3 stride 2 pad 1",
                 build_conv},
    LayerKeyword{"linear", "FEATURES [nobias]", "fully connected: linear 10", build_linear},
    LayerKeyword{"bn", "", "batch normalisation per channel", build_batch_norm},
    LayerKeyword{"relu", "", "max(x, 0)", build_unary<Unary::relu>},
    LayerKeyword{"gelu", "", "x times the normal distribution function of x", build_unary<Unary::gelu>},
    LayerKeyword{"sigmoid", "", "1 / (1 + exp(-x))", build_unary<Unary::sigmoid>},
    LayerKeyword{"tanh", "", "hyperbolic tangent", build_unary<Unary::tanh>},
    LayerKeyword{"maxpool", "WINDOW [stride S] [pad P]",
                 "largest of each window; the stride is the window unless given", build_pool<MaxPool2d>},
    LayerKeyword{"avgpool", "WINDOW [stride S] [pad P]", "mean of each window; padded zeros count",
                 build_pool<AveragePool2d>},
    LayerKeyword{"globalavgpool", "", "mean of each channel's image: HxWxC becomes 1x1xC", build_global_pool},
    LayerKeyword{"flatten", "", "images HxWxC become H*W*C features", build_flatten},
    LayerKeyword{"dropout", "P", "while training, zeroes elements with probability P", build_dropout},
    LayerKeyword{"residual", "{ LAYERS } [shortcut { LAYERS }]",
                 "the sum of both branches; without a shortcut, of the body and its input", build_residual},
};

}  // namespace

std::span<const LayerKeyword> layer_keywords() { return kLayers; }

std::string usage_of(const LayerKeyword& row) {
  return row.arguments[0] ? fmt::format("{} {}", row.keyword, row.arguments) : row.keyword;
}

std::unique_ptr<Sequential> parse_description(std::string_view text, ImageExtent input, int64_t classes,
                                              std::string_view source, int64_t most_weights) {
  Parser parser(text, source, most_weights);
  Flow flow{.images = true, .extent = input};
  auto model = parser.layers(flow, false);
  const Token& last = parser.layer();
  if (last.kind != Token::Kind::word) parser.fail_at(0, "the description has no layers");
  if (flow.images)
    parser.fail_at(last.offset,
                   fmt::format("the last layer gives {}, not {} numbers per image; end with 'flatten; linear {}'",
                               flow.text(), classes, classes));
  if (flow.features() != classes)
    parser.fail_at(last.offset,
                   fmt::format("the last layer gives {}, the data set has {} classes; end with 'linear {}'",
                               flow.text(), classes, classes));
  return model;
}

std::string description_help() {
  std::string help =
      "A model description is a list of layers, separated by ';' or line breaks; '#' starts a comment.\n"
      "Numbers for two axes are written 3x5 (height x width), or 3 for both. @FILE reads a description from "
      "a file.\n\n";
  size_t width = 0;
  for (const LayerKeyword& row : kLayers) width = std::max(width, usage_of(row).size());
  for (const LayerKeyword& row : kLayers) help += fmt::format("  {:<{}}  {}\n", usage_of(row), width, row.help);
  return help +
         "\nExample: conv 32 3x3 pad 1; bn; relu; maxpool 2; residual { conv 32 3x3 pad 1; bn }; relu; "
         "flatten; linear 10\n";
}

}  // namespace convoy
