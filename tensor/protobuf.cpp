#include "tensor/protobuf.h"

#include <bit>

#include "tensor/error.h"

namespace convoy {
namespace {

constexpr int kVarint = 0, k64Bits = 1, kLengthDelimited = 2, k32Bits = 5;

// Seven bits a byte, the lowest first; the highest bit says that more follow.
void append_varint(std::string& bytes, uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  bytes += static_cast<char>(value);
}

void append_little_endian(std::string& bytes, uint64_t value, int size) {
  for (int i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i));
}

}  // namespace

void ProtobufMessage::key(int field, int wire_type) {
  CHECK(field >= 1 && field < (1 << 29), "protobuf: there is no field {}", field);
  append_varint(bytes_, static_cast<uint64_t>(field) << 3 | static_cast<uint64_t>(wire_type));
}

ProtobufMessage& ProtobufMessage::integer(int field, int64_t value) {
  key(field, kVarint);
  append_varint(bytes_, static_cast<uint64_t>(value));
  return *this;
}

ProtobufMessage& ProtobufMessage::float32(int field, float value) {
  key(field, k32Bits);
  append_little_endian(bytes_, std::bit_cast<uint32_t>(value), 4);
  return *this;
}

ProtobufMessage& ProtobufMessage::float64(int field, double value) {
  key(field, k64Bits);
  append_little_endian(bytes_, std::bit_cast<uint64_t>(value), 8);
  return *this;
}

ProtobufMessage& ProtobufMessage::text(int field, std::string_view value) {
  key(field, kLengthDelimited);
  append_varint(bytes_, value.size());
  bytes_ += value;
  return *this;
}

ProtobufMessage& ProtobufMessage::message(int field, const ProtobufMessage& value) { return text(field, value.bytes_); }

}  // namespace convoy
