#include "data/gzip_reader.h"

#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "tensor/error.h"

namespace convoy {
namespace {

constexpr int64_t kFirstBlock = int64_t{1} << 20;

}  // namespace

void GzipReader::Close::operator()(void* file) const { gzclose(static_cast<gzFile>(file)); }

GzipReader::GzipReader(const std::filesystem::path& path) : path_(path) {
  errno = 0;
  file_.reset(gzopen(path.c_str(), "rb"));
  if (!file_) fail(ErrorKind::data, "{}: cannot be opened: {}", path.string(), std::strerror(errno ? errno : ENOMEM));
  gzbuffer(static_cast<gzFile>(file_.get()), 1 << 17);
}

int64_t GzipReader::read(uint8_t* out, int64_t bytes) {
  const gzFile file = static_cast<gzFile>(file_.get());
  int64_t done = 0;
  while (done < bytes) {
    const unsigned wanted = static_cast<unsigned>(std::min(bytes - done, int64_t{1} << 30));
    errno = 0;
    const int got = gzread(file, out + done, wanted);
    if (got > 0) done += got;
    if (got == static_cast<int>(wanted)) continue;
    // A short count is the end of the file, unless zlib says that the stream broke off (Z_BUF_ERROR) or is
    // damaged.
    int code = Z_OK;
    const char* reason = gzerror(file, &code);
    if (code == Z_BUF_ERROR)
      fail(ErrorKind::data, "{}: the gzip stream is cut short; get the file again", path_.string());
    if (code == Z_ERRNO) fail(ErrorKind::data, "{}: cannot be read: {}", path_.string(), std::strerror(errno));
    if (got < 0 || code != Z_OK) {
      // zlib begins its reasons with the path.
      std::string text = reason;
      if (const std::string prefix = path_.string() + ": "; text.starts_with(prefix)) text.erase(0, prefix.size());
      fail(ErrorKind::data, "{}: the gzip stream is damaged ({}); get the file again", path_.string(), text);
    }
    break;
  }
  return done;
}

std::vector<uint8_t> GzipReader::read_up_to(int64_t limit) {
  // A plain file has no more than its size, which is taken at once.
  std::error_code error;
  const auto file_bytes = static_cast<int64_t>(std::filesystem::file_size(path_, error));
  const bool plain = !error && gzdirect(static_cast<gzFile>(file_.get())) == 1;
  if (plain) limit = std::min(limit, file_bytes);
  std::vector<uint8_t> bytes;
  int64_t have = 0;
  while (have < limit) {
    const int64_t room = plain ? limit : std::min(limit, std::max(kFirstBlock, 2 * have));
    bytes.resize(static_cast<size_t>(room));
    have += read(bytes.data() + have, room - have);
    if (have < room) break;
  }
  bytes.resize(static_cast<size_t>(have));
  return bytes;
}

}  // namespace convoy
