#include "layers/onnx_file.h"

#include <bit>
#include <limits>

#include "tensor/protobuf.h"

namespace convoy {
namespace {

static_assert(std::endian::native == std::endian::little, "ONNX's raw data is little-endian");

constexpr int kFloat = 1;  // TensorProto.DataType

ProtobufMessage attribute_proto(const OnnxAttribute& attribute) {
  enum { float_type = 1, int_type = 2, ints_type = 7 };  // AttributeProto.AttributeType
  ProtobufMessage proto;
  proto.text(1, attribute.name);
  if (const auto* real = std::get_if<float>(&attribute.value)) return proto.float32(2, *real).integer(20, float_type);
  if (const auto* whole = std::get_if<int64_t>(&attribute.value)) return proto.integer(3, *whole).integer(20, int_type);
  for (const int64_t number : std::get<std::vector<int64_t>>(attribute.value)) proto.integer(8, number);
  return proto.integer(20, ints_type);
}

ProtobufMessage node_proto(const OnnxNode& node) {
  ProtobufMessage proto;
  for (const std::string& input : node.inputs) proto.text(1, input);
  proto.text(2, node.output).text(3, node.output).text(4, node.op);  // output, name, op_type
  for (const OnnxAttribute& attribute : node.attributes) proto.message(5, attribute_proto(attribute));
  return proto;
}

ProtobufMessage tensor_proto(const std::string& name, const Tensor& tensor) {
  const Tensor host = tensor.to(Device{});
  CHECK(host.dtype() == DType::f32, "onnx: {} holds {} values, expected f32", name, name_of(host.dtype()));
  ProtobufMessage proto;
  for (const int64_t extent : host.shape().extents()) proto.integer(1, extent);
  return proto.integer(2, kFloat).text(8, name).text(
      9, {reinterpret_cast<const char*>(host.raw()), static_cast<size_t>(host.bytes())});
}

ProtobufMessage value_proto(const OnnxValue& value) {
  ProtobufMessage shape;
  shape.message(1, ProtobufMessage().text(2, "batch"));                                               // dim_param
  for (const int64_t extent : value.extents) shape.message(1, ProtobufMessage().integer(1, extent));  // dim_value
  const ProtobufMessage type = ProtobufMessage().integer(1, kFloat).message(2, shape);  // elem_type, shape
  ProtobufMessage proto;
  proto.text(1, value.name).message(2, ProtobufMessage().message(1, type));  // tensor_type
  return value.about.empty() ? proto : proto.text(3, value.about);
}

ProtobufMessage graph_proto(const OnnxGraph& graph) {
  ProtobufMessage proto;
  for (const OnnxNode& node : graph.nodes) proto.message(1, node_proto(node));
  proto.text(2, "convoy");
  for (const auto& [name, tensor] : graph.parameters) proto.message(5, tensor_proto(name, tensor));
  return proto.message(11, value_proto(graph.input)).message(12, value_proto(graph.output));
}

}  // namespace

std::string onnx_bytes(const OnnxGraph& graph, const std::map<std::string, std::string>& facts) {
  ProtobufMessage model;
  model.integer(1, kOnnxIrVersion).text(2, "convoy").message(7, graph_proto(graph));
  model.message(8, ProtobufMessage().integer(2, kOnnxOperatorSet));  // opset_import
  for (const auto& [key, value] : facts) model.message(14, ProtobufMessage().text(1, key).text(2, value));
  CHECK(model.bytes().size() <= std::numeric_limits<int32_t>::max(),
        "onnx: the model takes {} bytes, readers accept at most 2 GiB", model.bytes().size());
  return model.bytes();
}

}  // namespace convoy
