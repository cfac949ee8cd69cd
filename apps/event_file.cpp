#include "apps/event_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <bit>

#include "tensor/crc32c.h"
#include "tensor/protobuf.h"

namespace convoy {
namespace {

// Fields of the messages.
constexpr int kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5;  // Event
constexpr int kValue = 1;                                                // Summary
constexpr int kTag = 1, kSimpleValue = 2;                                // Summary.Value

constexpr size_t kLengthBytes = 8, kCrcBytes = 4;

std::string little_endian(uint64_t value, size_t size) {
  std::string bytes;
  for (size_t i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

uint64_t from_little_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i > 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[i - 1]);
  return value;
}

// Turned and shifted, because the CRC of bytes that contain their own CRC tells little.
std::string masked_crc(std::string_view bytes) {
  return little_endian(std::rotr(crc32c(bytes), 15) + 0xa282ead8u, kCrcBytes);
}

std::string record(const ProtobufMessage& event) {
  const std::string length = little_endian(event.bytes().size(), kLengthBytes);
  return length + masked_crc(length) + event.bytes() + masked_crc(event.bytes());
}

}  // namespace

std::string event_file_head(double time) {
  return record(ProtobufMessage().float64(kWallTime, time).text(kFileVersion, "brain.Event:2"));
}

std::string scalars_record(double time, int64_t step, const std::vector<EventScalar>& scalars) {
  ProtobufMessage summary;
  for (const EventScalar& scalar : scalars)
    summary.message(kValue, ProtobufMessage().text(kTag, scalar.tag).float32(kSimpleValue, scalar.value));
  return record(ProtobufMessage().float64(kWallTime, time).integer(kStep, step).message(kSummary, summary));
}

std::vector<double> times_of_records(std::string_view file) {
  constexpr size_t kHead = kLengthBytes + kCrcBytes, kTimeAt = 1, kTimeBytes = 8;  // behind the field's key
  std::vector<double> times;
  while (file.size() >= kHead) {
    const std::string_view length_bytes = file.substr(0, kLengthBytes);
    const uint64_t length = from_little_endian(length_bytes);
    if (file.substr(kLengthBytes, kCrcBytes) != masked_crc(length_bytes)) break;
    if (length < kTimeAt + kTimeBytes || length > file.size() - kHead) break;
    const std::string_view message = file.substr(kHead, length);
    if (file.substr(kHead + length, kCrcBytes) != masked_crc(message)) break;
    times.push_back(std::bit_cast<double>(from_little_endian(message.substr(kTimeAt, kTimeBytes))));
    file.remove_prefix(kHead + length + kCrcBytes);
  }
  return times;
}

std::string event_file_name(double time) {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0 || host[0] == 0) host = {"localhost"};
  return fmt::format("{}{:010}.{}", kEventFilePrefix, static_cast<int64_t>(time), host.data());
}

}  // namespace convoy
