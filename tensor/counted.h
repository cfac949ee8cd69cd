// A number and the thing it counts, as messages have it: counted(1, "rank") is "1 rank", counted(2, "rank") "2 ranks".
#pragma once

#include <cstdint>
#include <string>

namespace convoy {

inline std::string counted(int64_t number, const char* thing) {
  return std::to_string(number) + " " + thing + (number == 1 ? "" : "s");
}

}  // namespace convoy
