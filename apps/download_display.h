// What a download shows: on a terminal a live line, elsewhere a plain line every ten seconds.
//
//   train-images-idx3-ubyte.gz  ━━━━━━━━━━━━━━━━  6.1/9.9 MB  2.3 MB/s  ETA 0:02
#pragma once

#include <chrono>
#include <string>

#include "apps/live_line.h"
#include "data/published_files.h"

namespace convoy {

class DownloadDisplay {
 public:
  // So many of file.bytes are here.
  void arrived(const PublishedFile& file, int64_t bytes);
  // Prints a line on stdout that stays.
  void line(const std::string& text) { live_line_.print(text); }

 private:
  using Clock = std::chrono::steady_clock;

  LiveLine live_line_;
  std::string file_;  // whose arrival is shown
  Clock::time_point begun_, last_shown_;
  int64_t before_ = 0;  // bytes that were here when it began
};

// 9912422 -> "9.9 MB", 28881 -> "0.03 MB"
std::string megabytes(int64_t bytes);

}  // namespace convoy
