// Messages in the wire format of Protocol Buffers, written field by field: what ONNX and TensorBoard files are made of. Format:
// https://protobuf.dev/programming-guides/encoding
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace convoy {

// A message being written; fields stand in the order of the calls, a repeated field is several calls. Numbers of fields are
// those of the message's .proto file, from 1 to 536,870,911 (2^29 - 1); others break a CHECK.
class ProtobufMessage {
 public:
  ProtobufMessage& integer(int field, int64_t value);  // int32, int64, uint64, bool, enum
  ProtobufMessage& float32(int field, float value);
  ProtobufMessage& float64(int field, double value);
  ProtobufMessage& text(int field, std::string_view value);  // string, bytes
  ProtobufMessage& message(int field, const ProtobufMessage& value);

  const std::string& bytes() const { return bytes_; }

 private:
  void key(int field, int wire_type);

  std::string bytes_;
};

}  // namespace convoy
