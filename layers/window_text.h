// Windows as they are written in layer tables and model descriptions.
#pragma once

#include <string>

#include "autograd/autograd.h"

namespace convoy {

// "3x5".
inline std::string text_of(Window window) { return fmt::format("{}x{}", window.h, window.w); }

// "2" for 2x2, else "2x1".
inline std::string short_text_of(Window window) {
  return window.h == window.w ? std::to_string(window.h) : text_of(window);
}

}  // namespace convoy
