#include "layers/onnx.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "layers/weights.h"

namespace convoy {
namespace {

// How the features of a flattened image are ordered: in memory by height, width, channel, in ONNX by channel, height, width.
// {} where both are the same.
using Order = ImageExtent;

Order order_of(int64_t h, int64_t w, int64_t c) { return h * w > 1 && c > 1 ? Order{h, w, c} : Order{}; }

// What a function's result is called in the graph.
struct Traced {
  std::string name;
  Order order{};
};

class Trace {
 public:
  Trace(Module& net, ImageExtent input);
  OnnxGraph graph() { return std::move(graph_); }

 private:
  void on_call(const FunctionCall& call);
  void finish(const Variable& logits);

  // The operators of one function each.
  Traced conv2d(const FunctionCall& call);
  Traced linear(const FunctionCall& call);
  Traced max_pool2d(const FunctionCall& call);
  Traced average_pool2d(const FunctionCall& call);
  Traced batch_norm(const FunctionCall& call);
  Traced reshape(const FunctionCall& call);
  Traced gelu(const FunctionCall& call);
  Traced unary(const FunctionCall& call, const char* op);
  Traced binary(const FunctionCall& call, const char* op);
  struct Row {
    const char* name;  // of the function
    Traced (*write)(Trace& trace, const FunctionCall& call);
  };
  static const std::array<Row, 12> kFunctions;

  std::string emit(const char* op, std::vector<std::string> inputs, std::vector<OnnxAttribute> attributes = {});
  const Traced& result(const Variable& variable) const;
  std::string parameter(const NamedVariable& entry);
  std::string parameter(const Variable& variable);
  std::string running_statistic(const Tensor& statistic);
  std::string constant(const char* name, float value);

  struct Result {
    Variable variable;
    Traced traced;
  };
  std::vector<Result> results_;
  std::vector<NamedVariable> parameters_, buffers_;
  OnnxGraph graph_;
};

const std::array<Trace::Row, 12> Trace::kFunctions = {{
    {"conv2d", [](Trace& trace, const FunctionCall& call) { return trace.conv2d(call); }},
    {"linear", [](Trace& trace, const FunctionCall& call) { return trace.linear(call); }},
    {"max_pool2d", [](Trace& trace, const FunctionCall& call) { return trace.max_pool2d(call); }},
    {"average_pool2d", [](Trace& trace, const FunctionCall& call) { return trace.average_pool2d(call); }},
    {"batch_norm", [](Trace& trace, const FunctionCall& call) { return trace.batch_norm(call); }},
    {"reshape", [](Trace& trace, const FunctionCall& call) { return trace.reshape(call); }},
    {"relu", [](Trace& trace, const FunctionCall& call) { return trace.unary(call, "Relu"); }},
    {"gelu", [](Trace& trace, const FunctionCall& call) { return trace.gelu(call); }},
    {"sigmoid", [](Trace& trace, const FunctionCall& call) { return trace.unary(call, "Sigmoid"); }},
    {"tanh", [](Trace& trace, const FunctionCall& call) { return trace.unary(call, "Tanh"); }},
    {"add", [](Trace& trace, const FunctionCall& call) { return trace.binary(call, "Add"); }},
    {"multiply", [](Trace& trace, const FunctionCall& call) { return trace.binary(call, "Mul"); }},
}};

// --- the graph ----------------------------------------------------------------------------------------------------

Trace::Trace(Module& net, ImageExtent input) : parameters_(net.parameters()), buffers_(net.buffers()) {
  const NoGrad no_grad;
  net.set_training(false);
  const Variable images(Tensor::zeros({1, input.h, input.w, input.c}));
  results_.push_back({images, {"images"}});
  graph_.input = {.name = "images",
                  .about = "normalised as in training: (pixel / 255 - mean) / std of each channel",
                  .extents = {input.c, input.h, input.w}};
  const FunctionObserver observer([this](const FunctionCall& call) { on_call(call); });
  finish(net(images));
}

void Trace::on_call(const FunctionCall& call) {
  const auto row = std::ranges::find_if(
      kFunctions, [&](const Row& candidate) { return std::string_view(candidate.name) == call.function; });
  CHECK(row != kFunctions.end(), "onnx: the network calls '{}', for which layers/onnx.cpp has no operator",
        call.function);
  Traced traced = row->write(*this, call);
  if (call.arguments.relu) traced.name = emit("Relu", {traced.name});
  results_.push_back({call.result, traced});
}

void Trace::finish(const Variable& logits) {
  CHECK(logits.shape().rank() == 2, "onnx: the network gives {}, expected [batch, classes]", logits.shape());
  const Traced& last = result(logits);
  CHECK(last.order == Order{},
        "onnx: the logits are an image of {}x{}x{} that was flattened, in an order that ONNX does not have; "
        "end with a linear layer",
        last.order.h, last.order.w, last.order.c);
  for (OnnxNode& node : graph_.nodes) {
    std::ranges::replace(node.inputs, last.name, std::string("logits"));
    if (node.output == last.name) node.output = "logits";
  }
  graph_.output = {.name = "logits", .about = "before softmax", .extents = {logits.shape()[1]}};
}

// A new operator; returns the name of its result.
std::string Trace::emit(const char* op, std::vector<std::string> inputs, std::vector<OnnxAttribute> attributes) {
  const std::string name = fmt::format("{}_{}", op, graph_.nodes.size());
  graph_.nodes.push_back({op, std::move(inputs), name, std::move(attributes)});
  return name;
}

const Traced& Trace::result(const Variable& variable) const {
  const auto found =
      std::ranges::find_if(results_, [&](const Result& candidate) { return candidate.variable.same_as(variable); });
  CHECK(found != results_.end(), "onnx: the network uses values {} that no differentiable function has given",
        variable.shape());
  return found->traced;
}

// --- parameters ---------------------------------------------------------------------------------------------------

std::string Trace::parameter(const NamedVariable& entry) {
  const bool known = std::ranges::any_of(graph_.parameters, [&](const auto& row) { return row.first == entry.name; });
  if (!known) graph_.parameters.emplace_back(entry.name, to_file_layout(entry.variable.value(), entry.layout));
  return entry.name;
}

// "" for one that is not given.
std::string Trace::parameter(const Variable& variable) {
  if (!variable.defined()) return "";
  const auto found =
      std::ranges::find_if(parameters_, [&](const NamedVariable& entry) { return entry.variable.same_as(variable); });
  CHECK(found != parameters_.end(), "onnx: a weight {} is no parameter of the network", variable.shape());
  return parameter(*found);
}

std::string Trace::running_statistic(const Tensor& statistic) {
  const auto found = std::ranges::find_if(
      buffers_, [&](const NamedVariable& entry) { return entry.variable.value().shares_storage_with(statistic); });
  CHECK(found != buffers_.end(), "onnx: running statistics {} are no buffer of the network", statistic.shape());
  return parameter(*found);
}

std::string Trace::constant(const char* name, float value) {
  return parameter(NamedVariable{name, Variable(Tensor::full({}, value)), {}});
}

// --- operators ----------------------------------------------------------------------------------------------------

std::vector<OnnxAttribute> window_attributes(Window size, Window stride, Window pad) {
  return {{"kernel_shape", std::vector{size.h, size.w}},
          {"strides", std::vector{stride.h, stride.w}},
          {"pads", std::vector{pad.h, pad.w, pad.h, pad.w}}};  // top, left, bottom, right
}

// Of an operator whose last input may be missing.
std::vector<std::string> without_empty_end(std::vector<std::string> inputs) {
  if (inputs.back().empty()) inputs.pop_back();
  return inputs;
}

Traced Trace::conv2d(const FunctionCall& call) {
  const Shape& filter = call.inputs[1].shape();  // [K,R,S,C]
  return {emit("Conv",
               without_empty_end({result(call.inputs[0]).name, parameter(call.inputs[1]), parameter(call.inputs[2])}),
               window_attributes({filter[1], filter[2]}, call.arguments.stride, call.arguments.pad))};
}

Traced Trace::linear(const FunctionCall& call) {
  const Traced& x = result(call.inputs[0]);
  const std::string weight = parameter(call.inputs[1]);
  const FileLayout& layout =
      std::ranges::find(parameters_, weight, [](const NamedVariable& entry) { return entry.name; })->layout;
  CHECK(order_of(layout.h, layout.w, layout.c) == x.order,
        "onnx: {} belongs behind another flattened image than {}x{}x{}", weight, x.order.h, x.order.w, x.order.c);
  return {emit("Gemm", without_empty_end({x.name, weight, parameter(call.inputs[2])}), {{"transB", int64_t{1}}})};
}

Traced Trace::max_pool2d(const FunctionCall& call) {
  const auto& [size, stride, pad, relu, running] = call.arguments;
  return {emit("MaxPool", {result(call.inputs[0]).name}, window_attributes(size, stride, pad))};
}

Traced Trace::average_pool2d(const FunctionCall& call) {
  const auto& [size, stride, pad, relu, running] = call.arguments;
  const std::string& x = result(call.inputs[0]).name;
  const Shape& image = call.inputs[0].shape();
  if (size.h == image[1] && size.w == image[2] && pad.h == 0 && pad.w == 0) return {emit("GlobalAveragePool", {x})};
  std::vector<OnnxAttribute> attributes = window_attributes(size, stride, pad);
  attributes.push_back({"count_include_pad", int64_t{1}});
  return {emit("AveragePool", {x}, std::move(attributes))};
}

Traced Trace::batch_norm(const FunctionCall& call) {
  const Traced& x = result(call.inputs[0]);
  const BatchNormState* const state = call.arguments.running;
  CHECK(state != nullptr, "onnx: a batch norm trains, though the network evaluates");
  CHECK(x.order == Order{}, "onnx: a batch norm works on an image of {}x{}x{} that was flattened", x.order.h, x.order.w,
        x.order.c);
  return {emit("BatchNormalization",
               {x.name, parameter(call.inputs[1]), parameter(call.inputs[2]), running_statistic(state->running_mean),
                running_statistic(state->running_variance)},
               {{"epsilon", state->epsilon}})};
}

// Flatten is the only one there is.
Traced Trace::reshape(const FunctionCall& call) {
  const Traced& x = result(call.inputs[0]);
  const Shape &from = call.inputs[0].shape(), &to = call.result.shape();
  CHECK(to.rank() == 2 && to[0] == from[0] && (from.rank() == 2 || from.rank() == 4),
        "onnx: the network reshapes {} to {}, only images and features can be flattened", from, to);
  return {emit("Flatten", {x.name}, {{"axis", int64_t{1}}}),
          from.rank() == 4 ? order_of(from[1], from[2], from[3]) : x.order};
}

// Operator set 17 has none: 0.5 x (1 + erf(x sqrt(1/2))).
Traced Trace::gelu(const FunctionCall& call) {
  const auto& [x, order] = result(call.inputs[0]);
  const std::string erf = emit("Erf", {emit("Mul", {x, constant("gelu.sqrt_half", 0.70710678f)})});
  const std::string twice = emit("Mul", {x, emit("Add", {erf, constant("gelu.one", 1)})});
  return {emit("Mul", {twice, constant("gelu.half", 0.5f)}), order};
}

Traced Trace::unary(const FunctionCall& call, const char* op) {
  const Traced& x = result(call.inputs[0]);
  return {emit(op, {x.name}), x.order};
}

Traced Trace::binary(const FunctionCall& call, const char* op) {
  const Traced &a = result(call.inputs[0]), &b = result(call.inputs[1]);
  CHECK(a.order == b.order, "onnx: the network combines features of a flattened image with others");
  return {emit(op, {a.name, b.name}), a.order};
}

}  // namespace

OnnxGraph onnx_graph(Module& net, ImageExtent input) { return Trace(net, input).graph(); }

}  // namespace convoy
