// Counts in JSON files that may come from anywhere.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

namespace convoy {

// Throws type_error for a number with a sign, a fraction or an exponent, which no int64_t need hold.
inline int64_t whole(const nlohmann::json& number) {
  return static_cast<int64_t>(number.get_ref<const nlohmann::json::number_unsigned_t&>());
}

}  // namespace convoy
