// CRC-32C against the values that RFC 3720 gives in B.4, and the usual check value.
#include "tensor/crc32c.h"

#include <gtest/gtest.h>

#include <string>

namespace convoy {
namespace {

TEST(Crc32c, gives_the_values_of_the_standard) {
  std::string up, down;
  for (char i = 0; i < 32; ++i) {
    up += i;
    down += static_cast<char>(31 - i);
  }
  EXPECT_EQ(crc32c(""), 0u);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(crc32c(up), 0x46dd794eu);
  EXPECT_EQ(crc32c(down), 0x113fdb5cu);
}

}  // namespace
}  // namespace convoy
