#include "tensor/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "tensor/error.h"

namespace convoy {
namespace {

// Creates the file that write_file_atomically() fills: beside `path`, with a name nobody else has.
int create_temporary(const std::filesystem::path& path, std::string& name) {
  static std::atomic<unsigned> counter{0};
  int descriptor = -1;
  do {
    name = fmt::format("{}.{}-{}.tmp", path.string(), getpid(), counter++);
    descriptor = open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (descriptor < 0 && errno == EEXIST);
  return descriptor;
}

bool write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) return false;
    if (written > 0) bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace

void write_file_atomically(const std::filesystem::path& path, std::string_view bytes) {
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored) && !std::filesystem::is_regular_file(path, ignored))
    fail(ErrorKind::io, "{}: cannot be replaced, it is not an ordinary file", path.string());
  std::string temporary;
  const int descriptor = create_temporary(path, temporary);
  if (descriptor < 0) fail(ErrorKind::io, "{}: cannot be written: {}", path.string(), std::strerror(errno));
  int error = write_all(descriptor, bytes) && fsync(descriptor) == 0 ? 0 : errno;
  if (close(descriptor) != 0 && error == 0) error = errno;
  if (error == 0 && rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0) {
    unlink(temporary.c_str());
    fail(ErrorKind::io, "{}: cannot be written: {}", path.string(), std::strerror(error));
  }
  sync_folder(path.parent_path());
}

void sync_folder(const std::filesystem::path& folder) {
  const int descriptor = open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  fsync(descriptor);
  close(descriptor);
}

}  // namespace convoy
