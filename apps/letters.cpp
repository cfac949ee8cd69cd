#include "apps/letters.h"

#include <algorithm>

namespace convoy {
namespace {

bool begins_letter(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; }

// Where letter `number` begins, counted from 0.
size_t place_of_letter(const std::string& text, int64_t number) {
  for (size_t at = 0; at < text.size(); ++at) {
    if (begins_letter(text[at]) && number-- == 0) return at;
  }
  return text.size();
}

}  // namespace

int64_t letters_of(const std::string& text) { return std::ranges::count_if(text, begins_letter); }

std::string shortened(const std::string& text, int64_t most) {
  return letters_of(text) <= most ? text : text.substr(0, place_of_letter(text, most - 1)) + "…";
}

std::string shortened_from_the_left(const std::string& text, int64_t most) {
  const int64_t letters = letters_of(text);
  return letters <= most ? text : "…" + text.substr(place_of_letter(text, letters - most + 1));
}

}  // namespace convoy
