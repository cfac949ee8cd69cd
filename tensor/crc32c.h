// CRC-32C (Castagnoli), by which records of TensorBoard's files are checked. Polynomial and known values: RFC 3720, 12.1 and B.4
// (https://www.rfc-editor.org/rfc/rfc3720).
//
//   crc32c("123456789") == 0xe3069283
#pragma once

#include <cstdint>
#include <string_view>

namespace convoy {

uint32_t crc32c(std::string_view bytes);

}  // namespace convoy
