// Loaded into a program by LD_PRELOAD: its $FAIL_CALL-th call, counted from 1, that changes a file under the folder
// $FAIL_BELOW fails with EIO, as on a broken disk. Counted are write, ftruncate, fsync and close of files open for
// writing, rename, and open where it creates. Then the file $FAIL_TOLD comes to be.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

bool below(const char* path) {
  const char* const folder = getenv("FAIL_BELOW");
  if (folder == nullptr) return false;
  std::string absolute(path);
  if (path[0] != '/') {
    char here[PATH_MAX];
    absolute = std::string(getcwd(here, sizeof here) == nullptr ? "" : here) + "/" + absolute;
  }
  return absolute.starts_with(folder);
}

// Descriptors open for writing alone: a folder's own fsync may fail without harm, and convoy lets it.
bool below(int descriptor) {
  const int flags = fcntl(descriptor, F_GETFL);
  if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY) return false;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return false;
  path[length] = '\0';
  return below(path);
}

bool fails() {
  static std::atomic<int> calls{0};
  const char* const wanted = getenv("FAIL_CALL");
  if (++calls != atoi(wanted)) return false;
  mknod(getenv("FAIL_TOLD"), S_IFREG | 0600, 0);
  errno = EIO;
  return true;
}

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

ssize_t write(int descriptor, const void* bytes, size_t count) {
  static const auto real = next<ssize_t(int, const void*, size_t)>("write");
  return below(descriptor) && fails() ? -1 : real(descriptor, bytes, count);
}

int fsync(int descriptor) {
  static const auto real = next<int(int)>("fsync");
  return below(descriptor) && fails() ? -1 : real(descriptor);
}

int ftruncate(int descriptor, off_t length) noexcept {
  static const auto real = next<int(int, off_t)>("ftruncate");
  return below(descriptor) && fails() ? -1 : real(descriptor, length);
}

int close(int descriptor) {
  static const auto real = next<int(int)>("close");
  const bool failed = below(descriptor) && fails();
  const int result = real(descriptor);
  if (!failed) return result;
  errno = EIO;
  return -1;
}

int rename(const char* from, const char* to) noexcept {
  static const auto real = next<int(const char*, const char*)>("rename");
  return below(to) && fails() ? -1 : real(from, to);
}

int open(const char* path, int flags, ...) {
  static const auto real = next<int(const char*, int, ...)>("open");
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  return (flags & O_CREAT) != 0 && below(path) && fails() ? -1 : real(path, flags, mode);
}

}  // extern "C"
