// SHA-256 (FIPS 180-4), by which files are told apart or known to be the same.
//
//   sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace convoy {

// Of bytes that come piece by piece.
class Sha256 {
 public:
  void add(std::string_view bytes);
  std::string digest() const;  // of all that was added; 64 hexadecimal digits

 private:
  std::array<uint32_t, 8> hash_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::string rest_;    // the beginning of a block that is not full yet
  uint64_t bytes_ = 0;  // added
};

std::string sha256(std::string_view bytes);
std::string sha256_of_file(const std::filesystem::path& path);  // throws Error(data) when it cannot be read

}  // namespace convoy
