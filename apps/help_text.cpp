#include "apps/help_text.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <vector>

namespace convoy {
namespace {

// Where the last column of a line begins; 0 for a line without columns. What would leave next to no room is none.
size_t column_of(const std::string& line, size_t columns) {
  constexpr size_t kRoom = 20;
  const size_t gap = line.rfind("  ", columns > kRoom ? columns - kRoom : 0);
  if (gap == std::string::npos) return 0;
  return std::min(line.find_first_not_of(' ', gap), line.size());
}

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  std::istringstream stream(text);
  bool option = false;
  for (std::string word; stream >> word;) {
    const bool joined = option && !word.starts_with("--");
    option = !joined && word.starts_with("--");
    joined ? words.back() += " " + word : words.emplace_back(word);
  }
  return words;
}

std::string wrapped_line(const std::string& line, size_t columns) {
  if (line.size() <= columns) return line + "\n";
  const size_t column = column_of(line, columns);
  std::string text, begun = line.substr(0, column);
  bool empty = true;  // but for what stands before the column
  for (const std::string& word : words_of(line.substr(column))) {
    if (!empty && begun.size() + 1 + word.size() > columns) {
      text += begun + "\n";
      begun = std::string(column, ' ');
      empty = true;
    }
    begun += (empty ? "" : " ") + word;
    empty = false;
  }
  return text + begun + "\n";
}

// 0 where stdout is no terminal, or one that does not tell, as mpirun's, whose output may go anywhere.
size_t terminal_columns() {
  winsize size = {};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

}  // namespace

size_t help_columns() {
  constexpr size_t kUsual = 80, kLeast = 40, kMost = 100;
  if (terminal_columns() > 0) return std::clamp(terminal_columns(), kLeast, kMost);
  const char* const columns = std::getenv("COLUMNS");
  const int wanted = columns == nullptr ? 0 : std::atoi(columns);
  return wanted > 0 ? std::clamp<size_t>(static_cast<size_t>(wanted), kLeast, kMost) : kUsual;
}

std::string wrapped(const std::string& text, size_t columns) {
  std::string all;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) all += wrapped_line(line, columns);
  return all;
}

std::string wrapped_on_terminal(const std::string& text) {
  return terminal_columns() > 0 ? wrapped(text, help_columns()) : text;
}

}  // namespace convoy
