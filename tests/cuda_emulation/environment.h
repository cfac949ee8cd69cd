// Numbers that the emulation takes from the environment.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace convoy::emulation {

// The variable's value, or `otherwise` where it is not set. Ends the program with code 2 and a line for what is no whole number:
// a test that runs on other devices than it names would show nothing.
inline uint64_t number_from_environment(const char* variable, uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  if (text == nullptr) return otherwise;
  const char* const end = text + std::strlen(text);
  uint64_t number = 0;
  const auto [stopped, error] = std::from_chars(text, end, number);
  if (error == std::errc() && stopped == end) return number;
  std::fprintf(stderr, "cuda_emulation: %s: '%s' is not a whole number\n", variable, text);
  std::_Exit(2);
}

}  // namespace convoy::emulation
