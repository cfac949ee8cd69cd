// Numbers as people read them.
#pragma once

#include <fmt/format.h>

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

}  // namespace convoy
