#include "apps/broken_pipe.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string_view>

namespace convoy {
namespace {

struct Output {
  int file;
  bool broken = false;
};
Output out{STDOUT_FILENO}, error{STDERR_FILENO};

ssize_t write_unless_broken(void* output, const char* bytes, size_t count) {
  constexpr std::string_view kTold = "convoy: nobody reads standard output any more; going on without it\n";
  Output& to = *static_cast<Output*>(output);
  for (size_t done = 0; done < count && !to.broken;) {
    const ssize_t written = write(to.file, bytes + done, count - done);
    if (written >= 0) {
      done += static_cast<size_t>(written);
    } else if (errno == EPIPE) {
      to.broken = true;
      if (&to == &out) write_unless_broken(&error, kTold.data(), kTold.size());
    } else if (errno != EINTR) {
      return 0;  // which is how a stream of this kind hears of errors
    }
  }
  return static_cast<ssize_t>(count);
}

void replace(std::FILE*& stream, Output& output) {
  struct stat status = {};
  if (fstat(output.file, &status) != 0 || !(S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode))) return;
  std::fflush(stream);
  std::FILE* const replaced =
      fopencookie(&output, "w", {.read = nullptr, .write = write_unless_broken, .seek = nullptr, .close = nullptr});
  if (replaced != nullptr) stream = replaced;
}

}  // namespace

void survive_broken_pipes() {
  replace(stdout, out);
  replace(stderr, error);
  std::setvbuf(stderr, nullptr, _IONBF, 0);
  // No SIG_IGN, which programs started from here would inherit.
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGPIPE, &action, nullptr);
}

}  // namespace convoy
