#include "data/fetch_file.h"

#include <fmt/ranges.h>

#include <vector>

#include "data/download.h"
#include "data/part_file.h"
#include "tensor/error.h"

namespace convoy {
namespace {

constexpr int kMostAttempts = 20;  // at one mirror, each of which has brought bytes

enum class Outcome { complete, failed, stopped };

// The download of one file at one mirror.
class MirrorDownload {
 public:
  MirrorDownload(const PublishedFile& file, std::string url, PartFile& part, const FetchWatch& watch)
      : file_(file), url_(std::move(url)), part_(part), watch_(watch) {}

  // Goes on as long as attempts bring bytes. In part_ stays what is worth going on from.
  Outcome run() {
    for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
      const int64_t before = part_.bytes();
      if (!receive()) return Outcome::stopped;
      if (part_.bytes() == file_.bytes) {
        const std::string sum = part_.sha256();
        if (sum == file_.sha256) return Outcome::complete;
        part_.restart();
        cause_ = fmt::format("{}: has SHA-256 {}, the official file {}", url_, sum, file_.sha256);
        // Put together from bytes of several versions? Then one version may be right.
        if (before == 0 || restarted_) return Outcome::failed;
        restarted_ = true;
      } else if (part_.bytes() <= before) {
        return Outcome::failed;
      }
    }
    return Outcome::failed;
  }

  const std::string& cause() const { return cause_; }

 private:
  // Adds to part_ what the mirror sends, and notes why it ended early. False when the caller wants no more.
  bool receive() {
    if (part_.bytes() == file_.bytes) return watch_.going_on();
    const download::Request request{url_, part_.bytes(), part_.validator_of(url_), watch_.patience};
    const download::Receiver receiver{[&](const download::Answer& answer) { begin(answer); },
                                      [&](std::string_view bytes) { add(bytes); }, watch_.going_on};
    try {
      if (!download::get(request, receiver)) return false;
      cause_ = fmt::format("{}: ends after {} of {} bytes", url_, part_.bytes(), file_.bytes);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
      cause_ = error.what();
    }
    return true;
  }

  void begin(const download::Answer& answer) {
    // Before what has arrived is given up for it.
    if (answer.total >= 0 && answer.total != file_.bytes)
      fail(ErrorKind::data, "{}: has {} bytes, the official file {}", url_, answer.total, file_.bytes);
    if (answer.first == 0 && part_.bytes() > 0) part_.restart();
    part_.set_source(url_, answer.validator);
  }

  void add(std::string_view bytes) {
    if (part_.bytes() + static_cast<int64_t>(bytes.size()) > file_.bytes) {
      part_.restart();
      fail(ErrorKind::data, "{}: has more than the {} bytes of the official file", url_, file_.bytes);
    }
    part_.append(bytes);
    watch_.arrived(file_, part_.bytes());
  }

  const PublishedFile& file_;
  const std::string url_;
  PartFile& part_;
  const FetchWatch& watch_;
  std::string cause_;
  bool restarted_ = false;
};

}  // namespace

bool fetch_file(const PublishedFile& file, std::span<const std::string> mirrors, const std::filesystem::path& folder,
                const FetchWatch& watch) {
  PartFile part(folder / file.name);
  if (part.bytes() > file.bytes) part.restart();
  std::vector<std::string> causes;
  for (const std::string& mirror : mirrors) {
    MirrorDownload download(file, mirror + file.name, part, watch);
    const Outcome outcome = download.run();
    if (outcome == Outcome::stopped) return false;
    if (outcome == Outcome::complete) {
      part.finish();
      return true;
    }
    causes.push_back(download.cause());
    if (causes.size() < mirrors.size()) watch.tell(download.cause() + "; trying the next mirror");
  }
  fail(ErrorKind::data, "{} could not be downloaded: {}. {} again later, or name another mirror with --mirror URL",
       file.name, fmt::join(causes, "; "),
       part.bytes() > 0 ? fmt::format("{} of {} bytes are kept; fetch", part.bytes(), file.bytes) : "Try");
}

}  // namespace convoy
