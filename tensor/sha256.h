// SHA-256 (FIPS 180-4), by which files are told apart or known to be the same.
//
//   sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace convoy {

std::string sha256(std::string_view bytes);                     // 64 hexadecimal digits
std::string sha256_of_file(const std::filesystem::path& path);  // throws Error(data) when it cannot be read

}  // namespace convoy
