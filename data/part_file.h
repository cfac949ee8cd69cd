// A file that arrives in pieces, over several runs if need be. Until it is complete it is called `<name>.part`; beside
// it, `<name>.part.source` says where its bytes came from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace convoy {

class PartFile {
 public:
  // Goes on with what is there of `target`, or begins. Here and below: throws Error(io) when it cannot be written.
  explicit PartFile(std::filesystem::path target);
  ~PartFile();  // what has arrived stays; an empty one does not
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  int64_t bytes() const { return bytes_; }
  void append(std::string_view bytes);
  void restart();              // forgets what has arrived
  std::string sha256() const;  // of what has arrived

  // The bytes come from `url`, which calls this version of the file `validator` (download.h).
  void set_source(const std::string& url, const std::string& validator);
  // What `url` called the version that these bytes are of; "" when it did not, or when they came from elsewhere.
  std::string validator_of(const std::string& url) const;

  // Complete: becomes `target`: fsync, rename, fsync of the folder. An older `target` is kept as `<name>.old`.
  void finish();  // the last call

 private:
  [[noreturn]] void fail_to_write(int error) const;

  std::filesystem::path target_, path_, source_;
  int descriptor_ = -1;
  int64_t bytes_ = 0;
};

}  // namespace convoy
