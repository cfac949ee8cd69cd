// convoy-image-decoder: a program of its own that reads pictures for Convoy, so that a file that is made to crash its
// reader crashes nothing else. It answers requests on its standard input (image_protocol.h), one after the other, and
// ends with it. It may take little memory and time, and write nothing.
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "data/decoder_picture.h"

namespace convoy {
namespace {

constexpr rlim_t kMemory = rlim_t{2} << 30;  // bytes
constexpr rlim_t kSeconds = 20;              // of the processor, for a picture

void limit(decltype(RLIMIT_AS) resource, rlim_t most) {
  const struct rlimit both { most, most };
  setrlimit(resource, &both);
}

// The system counts from the start of the program.
void limit_seconds() {
  struct rusage used {};
  getrusage(RUSAGE_SELF, &used);
  struct rlimit limits {};
  getrlimit(RLIMIT_CPU, &limits);
  limits.rlim_cur = static_cast<rlim_t>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + 1 + kSeconds;
  if (limits.rlim_cur > limits.rlim_max) limits.rlim_cur = limits.rlim_max;
  setrlimit(RLIMIT_CPU, &limits);
}

bool read_all(void* data, size_t bytes) {
  auto at = static_cast<char*>(data);
  while (bytes > 0) {
    const ssize_t count = read(STDIN_FILENO, at, bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    at += count;
    bytes -= static_cast<size_t>(count);
  }
  return true;
}

bool write_all(const void* data, size_t bytes) {
  auto at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t count = write(STDOUT_FILENO, at, bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    at += count;
    bytes -= static_cast<size_t>(count);
  }
  return true;
}

// False at the end of the requests.
bool answer_one() {
  static char path[kMostPathBytes + 1];
  ImageRequest request{};
  if (!read_all(&request, sizeof request)) return false;
  if (request.path_bytes > kMostPathBytes || request.h > kMostSide || request.w > kMostSide) return false;
  if (!read_all(path, request.path_bytes)) return false;
  path[request.path_bytes] = 0;
  limit_seconds();
  const Picture picture = read_picture(path, request.h, request.w);
  const bool good = picture.pixels != nullptr;
  const ImageAnswer answer{.good = good,
                           .h = picture.h,
                           .w = picture.w,
                           .bytes = good ? uint64_t{picture.h} * picture.w * 3 : std::strlen(picture.fault)};
  return write_all(&answer, sizeof answer) &&
         write_all(good ? static_cast<const void*>(picture.pixels.get()) : picture.fault, answer.bytes);
}

}  // namespace
}  // namespace convoy

int main() {
  convoy::limit(RLIMIT_AS, convoy::kMemory);
  convoy::limit(RLIMIT_CORE, 0);
  convoy::limit(RLIMIT_FSIZE, 0);
  while (convoy::answer_one()) continue;
}
