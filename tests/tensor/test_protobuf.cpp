// Messages as every reader of Protocol Buffers takes them. Expected bytes: the encoding page's own examples, and what
// google.protobuf 4.25 writes.
#include "tensor/protobuf.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

#include "tests/tensor/error_message.h"

namespace convoy {
namespace {

using namespace std::string_literals;

TEST(Protobuf, integers_are_varints) {
  EXPECT_EQ(ProtobufMessage().integer(1, 150).bytes(), "\x08\x96\x01");
  EXPECT_EQ(ProtobufMessage().integer(1, 0).bytes(), "\x08\x00"s);
  EXPECT_EQ(ProtobufMessage().integer(1, 127).bytes(), "\x08\x7f");
  EXPECT_EQ(ProtobufMessage().integer(1, 128).bytes(), "\x08\x80\x01");
  EXPECT_EQ(ProtobufMessage().integer(16, 1).bytes(), "\x80\x01\x01");
  EXPECT_EQ(ProtobufMessage().integer(1, -1).bytes(), "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
  EXPECT_EQ(ProtobufMessage().integer(1, std::numeric_limits<int64_t>::max()).bytes(),
            "\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f");
}

TEST(Protobuf, floats_are_little_endian) {
  EXPECT_EQ(ProtobufMessage().float32(2, 1.0f).bytes(), "\x15\x00\x00\x80\x3f"s);
  EXPECT_EQ(ProtobufMessage().float64(1, -2.0).bytes(), "\x09\x00\x00\x00\x00\x00\x00\x00\xc0"s);
}

TEST(Protobuf, text_and_messages_carry_their_length) {
  EXPECT_EQ(ProtobufMessage().text(2, "testing").bytes(), "\x12\x07testing");
  EXPECT_EQ(ProtobufMessage().message(3, ProtobufMessage().integer(1, 150)).bytes(), "\x1a\x03\x08\x96\x01");
  EXPECT_EQ(ProtobufMessage().text(1, std::string(300, 'x')).bytes(), "\x0a\xac\x02" + std::string(300, 'x'));
  EXPECT_EQ(ProtobufMessage().text(1, "").message(2, {}).bytes(), "\x0a\x00\x12\x00"s);
}

TEST(Protobuf, fields_that_do_not_exist_are_refused) {
  EXPECT_STREQ(error_of([] { ProtobufMessage().integer(0, 1); }).what(), "protobuf: there is no field 0");
  EXPECT_STREQ(error_of([] { ProtobufMessage().text(1 << 29, ""); }).what(), "protobuf: there is no field 536870912");
}

}  // namespace
}  // namespace convoy
