#include "apps/download_display.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/number_text.h"

namespace convoy {

void DownloadDisplay::arrived(const PublishedFile& file, int64_t bytes) {
  const Clock::time_point now = Clock::now();
  if (file_ != file.name || bytes < before_) {
    file_ = file.name;
    begun_ = last_shown_ = now;
    before_ = bytes;
  }
  if (now - last_shown_ < live_line_.pause()) return;
  last_shown_ = now;
  const double seconds = std::chrono::duration<double>(now - begun_).count();
  const double rate = static_cast<double>(bytes - before_) / seconds;
  const std::string so_far = fmt::format("{} of {}", megabytes(bytes), megabytes(file.bytes));
  const std::string rest =
      fmt::format("{}/s{}", megabytes(static_cast<int64_t>(rate)),
                  rate > 0 ? "  ETA " + clock_text(static_cast<double>(file.bytes - bytes) / rate) : std::string());
  if (!live_line_.live()) return line(fmt::format("{}  {}  {}", file.name, so_far, rest));

  const int64_t columns = live_line_.columns();
  const int64_t width = std::min(LiveLine::kLongestBar,
                                 columns - static_cast<int64_t>(file.name.size() + so_far.size() + rest.size()) - 6);
  std::string text = file.name;
  if (width >= LiveLine::kShortestBar) text += "  " + live_line_.bar(width, width * bytes / file.bytes);
  text += fmt::format("  {}  {}", so_far, rest);
  live_line_.show(width < 0 ? so_far.substr(0, static_cast<size_t>(columns)) : text);
}

std::string megabytes(int64_t bytes) {
  const double megabytes = static_cast<double>(bytes) / 1e6;
  return fmt::format("{:.{}f} MB", megabytes, bytes < 100'000 ? 2 : 1);
}

}  // namespace convoy
