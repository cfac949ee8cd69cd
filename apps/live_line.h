// A line on a terminal that is painted over and over, and lines that stay.
#pragma once

#include <chrono>
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
  // That can be used: some terminals wrap when the last one is written.
  int64_t columns() const;

  // Replaces the line. `text` takes at most columns().
  void show(const std::string& text);
  // A part of the line: `width` pieces, of which `done` stand for what is done. No more and no fewer look well.
  std::string bar(int64_t width, int64_t done) const;
  static constexpr int64_t kLongestBar = 30, kShortestBar = 6;
  // How often there is something new to show, or to print where nothing is live.
  std::chrono::steady_clock::duration pause() const;

  // Prints a line on stdout that stays.
  void print(const std::string& text);
  void wipe();

 private:
  bool live_, color_, unicode_;
  bool painted_ = false;
};

}  // namespace convoy
