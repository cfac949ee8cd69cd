#include "apps/live_line.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace convoy {
namespace {

std::string environment(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? "" : text;
}

// The first that is set of LC_ALL, LC_CTYPE and LANG decides, as in the C library.
bool terminal_is_unicode() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string locale = environment(name);
    if (!locale.empty()) return locale.find("UTF-8") != std::string::npos || locale.find("utf8") != std::string::npos;
  }
  return false;
}

}  // namespace

LiveLine::LiveLine()
    : live_(isatty(STDERR_FILENO) == 1 && environment("TERM") != "dumb"),
      color_(environment("NO_COLOR").empty()),
      unicode_(terminal_is_unicode()) {}

LiveLine::~LiveLine() { wipe(); }

int64_t LiveLine::columns() const {
  winsize size = {};
  return (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80) - 1;
}

std::string LiveLine::bar(int64_t width, int64_t done) const {
  const char* const piece = unicode_ ? "━" : "#";
  const char* const rest = unicode_ && color_ ? "━" : unicode_ ? "─" : ".";
  std::string text = color_ ? "\x1b[32m" : "";
  for (int64_t i = 0; i < width; ++i) {
    if (i == done && color_) text += "\x1b[90m";
    text += i < done ? piece : rest;
  }
  return text + (color_ ? "\x1b[0m" : "");
}

std::chrono::steady_clock::duration LiveLine::pause() const {
  return live_ ? std::chrono::milliseconds(100) : std::chrono::seconds(10);
}

void LiveLine::show(const std::string& text) {
  if (!live_) return;
  fmt::print(stderr, "\r{}\x1b[K", text);
  std::fflush(stderr);
  painted_ = true;
}

void LiveLine::wipe() {
  if (painted_) fmt::print(stderr, "\r\x1b[K");
  std::fflush(stderr);
  painted_ = false;
}

void LiveLine::print(const std::string& text) {
  wipe();
  fmt::print("{}\n", text);
  std::fflush(stdout);
}

}  // namespace convoy
