// Numbers as people read them.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <string>

namespace convoy {

// 1234567 -> "1,234,567"
inline std::string grouped(int64_t number) {
  std::string text = fmt::format("{}", number);
  for (int64_t at = static_cast<int64_t>(text.size()) - 3; at > (number < 0); at -= 3)
    text.insert(static_cast<size_t>(at), 1, ',');
  return text;
}

// A duration: 65.2 -> "1:05", 3661 -> "1:01:01"
inline std::string clock_text(double seconds) {
  const int64_t all = static_cast<int64_t>(seconds + 0.5);
  if (all >= 3600) return fmt::format("{}:{:02}:{:02}", all / 3600, all / 60 % 60, all % 60);
  return fmt::format("{}:{:02}", all / 60, all % 60);
}

// A loss that is not finite: "nan" whatever the sign of the NaN, "inf" or "-inf".
inline std::string nonfinite_text(float number) { return std::isnan(number) ? "nan" : fmt::format("{}", number); }

// A description of a model that may have several lines, in one.
inline std::string one_line(const std::string& text) {
  std::string line;
  for (const char letter : text) line += letter == '\n' ? std::string("; ") : std::string(1, letter);
  return line;
}

}  // namespace convoy
