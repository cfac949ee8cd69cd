// A line on a terminal that is painted over and over, and lines that stay.
#pragma once

#include <cstdint>
#include <string>

namespace convoy {

// On stderr, where that is a terminal; NO_COLOR (no-color.org) and TERM=dumb are respected.
class LiveLine {
 public:
  LiveLine();
  ~LiveLine();  // wipes it
  LiveLine(const LiveLine&) = delete;
  LiveLine& operator=(const LiveLine&) = delete;

  bool live() const { return live_; }  // whether show() shows anything
  bool color() const { return color_; }
  bool unicode() const { return unicode_; }
  // That can be used: some terminals wrap when the last one is written.
  int64_t columns() const;

  // Replaces the line. `text` takes at most columns().
  void show(const std::string& text);
  // Prints a line on stdout that stays.
  void print(const std::string& text);
  void wipe();

 private:
  bool live_, color_, unicode_;
  bool painted_ = false;
};

}  // namespace convoy
