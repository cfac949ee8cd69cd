// The text of a model description as tokens with their places, and errors that point at them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tensor/error.h"

namespace convoy {

struct Token {
  enum class Kind { word, separator, open, close, end };  // separator: ';' or a line break
  Kind kind = Kind::end;
  std::string_view text;
  size_t offset = 0;  // bytes from the start of the description
};

// Splits `text` at spaces, ';', line breaks and braces; '#' starts a comment that runs to the end of its
// line. The last token is `end`.
std::vector<Token> tokenize(std::string_view text);

// Error(usage) whose first line is "<source>:<line>:<column>: <message>", followed by that line of the text
// and a caret below the column. Lines and columns count characters (UTF-8) from 1.
Error error_at(std::string_view source, std::string_view text, size_t offset, std::string_view message);

}  // namespace convoy
