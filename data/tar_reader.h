// Reads the regular files of a tar archive (POSIX ustar), plain or gzip.
// https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html#tag_20_92_13_06
#pragma once

#include <optional>
#include <string>

#include "data/gzip_reader.h"

namespace convoy {

class TarReader {
 public:
  struct Entry {
    std::string name;  // "cifar-10-batches-bin/data_batch_1.bin"
    int64_t bytes = 0;
  };

  explicit TarReader(const std::filesystem::path& path) : reader_(path) {}

  // The next regular file, or nothing at the end; others (folders, links, extended headers) are passed over.
  // Throws Error(data) for an archive that is damaged or cut short.
  std::optional<Entry> next();

  // The content of the entry that next() returned last. Call at most once for each.
  std::vector<uint8_t> read_content();

 private:
  void skip(int64_t bytes);

  GzipReader reader_;
  Entry entry_;
  int64_t unread_ = 0;  // bytes of the entry, with its padding, that were not read yet
};

}  // namespace convoy
