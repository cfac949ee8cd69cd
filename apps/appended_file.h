// A file that grows line by line while others read it, and of which no line is there by half.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace convoy {

// Bytes are with the system when a call returns, so that they outlive this process. Errors are Error(io), naming the
// file.
class AppendedFile {
 public:
  enum class Mode { create, open };  // a file that is not there, or one that is
  AppendedFile() = default;
  AppendedFile(std::filesystem::path path, Mode mode);
  ~AppendedFile();
  AppendedFile(AppendedFile&& other) noexcept;
  AppendedFile& operator=(AppendedFile&& other) noexcept;

  const std::filesystem::path& path() const { return path_; }
  int64_t size() const { return size_; }  // bytes

  void append(std::string_view bytes);
  // 0, or the errno; then none of the bytes are there.
  int append_or_truncate(std::string_view bytes);
  void truncate(int64_t bytes);
  void sync();  // what was written reaches the disk
  // False when another process has locked the file; until this one closes it. File systems that know no locks let
  // everybody in.
  bool lock();

 private:
  [[noreturn]] void fail_with(int error) const;

  std::filesystem::path path_;
  int file_ = -1;
  int64_t size_ = 0;
};

}  // namespace convoy
