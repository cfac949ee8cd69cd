#include "layers/description_text.h"

#include <algorithm>

namespace convoy {
namespace {

constexpr size_t kShownLine = 100;  // bytes of a line that an error shows

bool starts_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; }

size_t characters(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), starts_character));
}

bool is_control(char byte) { return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7F; }

}  // namespace

std::vector<Token> tokenize(std::string_view text) {
  constexpr std::string_view kEndsWord = " \t\r\n;{}#";
  std::vector<Token> tokens;
  for (size_t i = 0; i < text.size();) {
    const char letter = text[i];
    if (letter == ' ' || letter == '\t' || letter == '\r') {
      ++i;
    } else if (letter == '#') {
      i = std::min(text.find('\n', i), text.size());
    } else if (letter == ';' || letter == '\n' || letter == '{' || letter == '}') {
      const Token::Kind kind = letter == '{'   ? Token::Kind::open
                               : letter == '}' ? Token::Kind::close
                                               : Token::Kind::separator;
      tokens.push_back({kind, text.substr(i, 1), i});
      ++i;
    } else {
      const size_t end = std::min(text.find_first_of(kEndsWord, i), text.size());
      tokens.push_back({Token::Kind::word, text.substr(i, end - i), i});
      i = end;
    }
  }
  tokens.push_back({Token::Kind::end, {}, text.size()});
  return tokens;
}

Error error_at(std::string_view source, std::string_view text, size_t offset, std::string_view message) {
  const size_t line = static_cast<size_t>(std::count(text.begin(), text.begin() + offset, '\n'));
  const size_t begin = offset == 0 ? 0 : text.rfind('\n', offset - 1) + 1;  // npos + 1 is 0
  const size_t end = std::min(text.find('\n', offset), text.size());
  const size_t column = characters(text.substr(begin, offset - begin));

  // A long line is shown from a little before the place of the error.
  size_t from = offset - begin > kShownLine * 2 / 3 ? offset - kShownLine / 3 : begin;
  while (from < offset && !starts_character(text[from])) ++from;
  size_t to = std::min(end, from + kShownLine);
  while (to < end && !starts_character(text[to])) ++to;
  const std::string before = from > begin ? "… " : "", after = to < end ? " …" : "";
  std::string shown(text.substr(from, to - from));
  std::replace_if(shown.begin(), shown.end(), is_control, ' ');
  const std::string indent(characters(before) + characters(text.substr(from, offset - from)), ' ');
  return Error(ErrorKind::usage, fmt::format("{}:{}:{}: {}\n  {}{}{}\n  {}^", source, line + 1, column + 1,
                                             printable(message), before, shown, after, indent));
}

}  // namespace convoy
