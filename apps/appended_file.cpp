#include "apps/appended_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "tensor/error.h"

namespace convoy {

AppendedFile::AppendedFile(std::filesystem::path path, Mode mode) : path_(std::move(path)) {
  const int create = mode == Mode::create ? O_CREAT | O_EXCL : 0;
  file_ = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | create, 0666);
  if (file_ < 0) fail_with(errno);
  size_ = lseek(file_, 0, SEEK_END);
}

AppendedFile::~AppendedFile() {
  if (file_ >= 0) close(file_);
}

AppendedFile::AppendedFile(AppendedFile&& other) noexcept
    : path_(std::move(other.path_)), file_(std::exchange(other.file_, -1)), size_(other.size_) {}

AppendedFile& AppendedFile::operator=(AppendedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(file_, other.file_);
  std::swap(size_, other.size_);
  return *this;
}

void AppendedFile::fail_with(int error) const {
  fail(ErrorKind::io, "{}: cannot be written: {}", path_.string(), std::strerror(error));
}

int AppendedFile::append_or_truncate(std::string_view bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t written = write(file_, bytes.data() + done, bytes.size() - done);
    if (written < 0 && errno != EINTR) {
      const int error = errno;
      return ftruncate(file_, size_) == 0 ? error : errno;
    }
    if (written > 0) done += static_cast<size_t>(written);
  }
  size_ += static_cast<int64_t>(bytes.size());
  return 0;
}

void AppendedFile::append(std::string_view bytes) {
  if (const int error = append_or_truncate(bytes); error != 0) fail_with(error);
}

void AppendedFile::truncate(int64_t bytes) {
  if (ftruncate(file_, bytes) != 0) fail_with(errno);
  size_ = bytes;
}

void AppendedFile::sync() {
  if (fsync(file_) != 0) fail_with(errno);
}

bool AppendedFile::lock() { return flock(file_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK; }

}  // namespace convoy
