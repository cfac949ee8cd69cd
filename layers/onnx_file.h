// Files of ONNX, the exchange format for networks: a graph of operators on named tensors. Fields and their numbers:
// https://github.com/onnx/onnx/blob/v1.12.0/onnx/onnx.proto; operators: https://onnx.ai/onnx/operators.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "tensor/tensor.h"

namespace convoy {

// The oldest reader has to know these; they came with ONNX 1.12, in 2022.
inline constexpr int64_t kOnnxIrVersion = 8, kOnnxOperatorSet = 17;

struct OnnxAttribute {
  std::string name;
  std::variant<int64_t, float, std::vector<int64_t>> value;
};

struct OnnxNode {
  std::string op;                   // "Conv"
  std::vector<std::string> inputs;  // names of tensors; "" for one that is not given
  std::string output;
  std::vector<OnnxAttribute> attributes;
};

// A tensor that goes in or comes out: float32, [batch, extents...], where batch is any number.
struct OnnxValue {
  std::string name, about;
  std::vector<int64_t> extents;
};

struct OnnxGraph {
  std::vector<OnnxNode> nodes;                             // each after those whose outputs it takes
  std::vector<std::pair<std::string, Tensor>> parameters;  // f32
  OnnxValue input, output;
};

// The bytes of a file with this graph, and with facts for people. Throws Error(usage) when they are more than the 2 GiB that
// readers of Protocol Buffers accept.
std::string onnx_bytes(const OnnxGraph& graph, const std::map<std::string, std::string>& facts);

}  // namespace convoy
