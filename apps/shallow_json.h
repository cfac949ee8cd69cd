// JSON of settings, which are never nested deep. What is would take the stack when it is shown.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "tensor/error.h"

namespace convoy {

// Json::parse(), but throws Error(kind), beginning with `where`, for what is nested deeper than any setting.
template <class Json>
Json parse_shallow(const std::string& text, ErrorKind kind, const std::string& where) {
  constexpr int kDeepest = 4;
  return Json::parse(text, [&](int depth, typename Json::parse_event_t event, Json&) {
    using Event = typename Json::parse_event_t;
    if ((event == Event::object_start || event == Event::array_start) && depth > kDeepest)
      fail(kind, "{}: is nested more than {} deep", where, kDeepest);
    return true;
  });
}

}  // namespace convoy
