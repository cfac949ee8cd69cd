// Texts by their letters, where they have to fit: UTF-8 has up to four bytes for one.
#pragma once

#include <cstdint>
#include <string>

namespace convoy {

int64_t letters_of(const std::string& text);

// At most `most` letters, at least 2: one that is longer is cut, and ends with "…"; or its beginning is, where the end
// tells more.
std::string shortened(const std::string& text, int64_t most);
std::string shortened_from_the_left(const std::string& text, int64_t most);

}  // namespace convoy
