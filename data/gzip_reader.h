// Reads a file's bytes in order, inflating them when it is gzip (recognised by its content, not its name).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

namespace convoy {

class GzipReader {
 public:
  explicit GzipReader(const std::filesystem::path& path);  // throws Error(data) when it cannot be opened

  // Fills out [bytes] and returns `bytes`, or fewer at the end of the file. Throws Error(data) when the file
  // cannot be read or its gzip stream is damaged or cut short.
  int64_t read(uint8_t* out, int64_t bytes);

  // The next bytes, at most `limit` of them. Memory grows with what the file really holds, whatever `limit`
  // is.
  std::vector<uint8_t> read_up_to(int64_t limit);

  const std::filesystem::path& path() const { return path_; }

 private:
  struct Close {
    void operator()(void* file) const;
  };

  std::filesystem::path path_;
  std::unique_ptr<void, Close> file_;  // zlib's gzFile
};

}  // namespace convoy
