#include "data/image_decoder.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "data/image_protocol.h"
#include "tensor/error.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr const char* kProgram = "convoy-image-decoder";

bool is_file(const fs::path& path) {
  std::error_code none;
  return fs::is_regular_file(path, none);
}

class TimedOut {};

// The other end of a socket, within a time. False when it is gone; throws TimedOut.
class Peer {
 public:
  Peer(int socket, Clock::time_point deadline) : socket_(socket), deadline_(deadline) {}

  bool send_all(const void* data, size_t bytes) const {
    return transfer(POLLOUT, static_cast<char*>(const_cast<void*>(data)), bytes,
                    [this](char* at, size_t left) { return send(socket_, at, left, MSG_NOSIGNAL | MSG_DONTWAIT); });
  }
  bool receive_all(void* data, size_t bytes) const {
    return transfer(POLLIN, static_cast<char*>(data), bytes,
                    [this](char* at, size_t left) { return recv(socket_, at, left, MSG_DONTWAIT); });
  }

 private:
  template <class Move>
  bool transfer(short event, char* at, size_t left, Move&& move) const {
    while (left > 0) {
      const auto rest = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Clock::now()).count();
      if (rest <= 0) throw TimedOut();
      pollfd file{socket_, event, 0};
      if (poll(&file, 1, static_cast<int>(rest)) <= 0) continue;
      const ssize_t count = move(at, left);
      if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (count <= 0) return false;
      at += count;
      left -= static_cast<size_t>(count);
    }
    return true;
  }

  int socket_;
  Clock::time_point deadline_;
};

// posix_spawn() with a socket as standard input and output and nothing else of this process. In a process group of its
// own: a terminal's Ctrl-C is not meant for it.
int spawn(const fs::path& program, int socket, pid_t& process) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, socket, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files, socket, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  const std::string name = program.string();
  char* const arguments[] = {const_cast<char*>(name.c_str()), nullptr};
  char* const environment[] = {nullptr};
  const int error = posix_spawn(&process, name.c_str(), &files, &attributes, arguments, environment);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  return error;
}

}  // namespace

fs::path image_decoder_program() {
  if (const char* named = std::getenv("CONVOY_IMAGE_DECODER"); named != nullptr && *named != 0) return named;
  std::error_code none;
  const fs::path beside = fs::read_symlink("/proc/self/exe", none).parent_path() / kProgram;
  for (const fs::path& path : {beside, fs::path(CONVOY_BUILT_IMAGE_DECODER)}) {
    if (is_file(path)) return path;
  }
  fail(ErrorKind::device,
       "{}: not found beside this program; it is built where libstb-dev is installed, and reads pictures. Name it with "
       "$CONVOY_IMAGE_DECODER where it lies elsewhere",
       kProgram);
}

struct ImageDecoder::Reply {
  ImageAnswer answer{};
  std::vector<uint8_t> bytes;
};

void ImageDecoder::start() {
  const fs::path program = image_decoder_program();
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    fail(ErrorKind::device, "socketpair: {}", std::strerror(errno));
  const int error = spawn(program, ends[1], process_);
  close(ends[1]);
  if (error != 0) {
    close(ends[0]);
    process_ = -1;
    fail(ErrorKind::device, "{}: cannot be started: {}", program.string(), std::strerror(error));
  }
  socket_ = ends[0];
}

int ImageDecoder::stop() {
  if (process_ < 0) return 0;
  close(socket_);
  kill(process_, SIGKILL);  // it has nothing to lose; one that is dead already keeps its status
  int status = 0;
  while (waitpid(process_, &status, 0) < 0 && errno == EINTR) continue;
  process_ = socket_ = -1;
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

std::optional<ImageDecoder::Reply> ImageDecoder::ask(const fs::path& path, ImageSize wanted) {
  const std::string name = path.string();
  if (name.size() > kMostPathBytes) fail(ErrorKind::data, "{}...: the path is too long", name.substr(0, 100));
  const ImageRequest request{.path_bytes = static_cast<uint32_t>(name.size()),
                             .h = static_cast<uint32_t>(wanted.h),
                             .w = static_cast<uint32_t>(wanted.w)};
  const Peer peer(socket_, Clock::now() + time_out_);
  Reply reply;
  ImageAnswer& answer = reply.answer;
  if (!peer.send_all(&request, sizeof request) || !peer.send_all(name.data(), name.size())) return {};
  if (!peer.receive_all(&answer, sizeof answer)) return {};
  // A decoder that a picture has taken over can say anything.
  const bool as_is = wanted.h == 0 && wanted.w == 0;
  const bool right_size =
      as_is ? answer.h <= kMostSide && answer.w <= kMostSide && answer.h * uint64_t{answer.w} <= kMostPixels
            : answer.h == wanted.h && answer.w == wanted.w;
  const bool right = answer.good == 1 ? right_size && answer.bytes == uint64_t{answer.h} * answer.w * 3
                                      : answer.bytes <= kMostFaultBytes;
  if (!right) return {};
  reply.bytes.resize(answer.bytes);
  if (!peer.receive_all(reply.bytes.data(), reply.bytes.size())) return {};
  return reply;
}

DecodedImage ImageDecoder::decode(const fs::path& path, ImageSize wanted) {
  CHECK((wanted.h == 0) == (wanted.w == 0) && wanted.h >= 0 && wanted.w >= 0 && wanted.h <= kMostSide &&
            wanted.w <= kMostSide,
        "images: a size of {} x {}, 1 to {} are possible", wanted.h, wanted.w, kMostSide);
  try {
    // One that was running may have died of something else.
    bool fresh = false;
    while (true) {
      if (process_ < 0) {
        start();
        fresh = true;
      }
      if (std::optional<Reply> reply = ask(path, wanted)) {
        const ImageAnswer& answer = reply->answer;
        if (answer.good == 1) return {{answer.h, answer.w}, std::move(reply->bytes)};
        const std::string_view fault(reinterpret_cast<const char*>(reply->bytes.data()), reply->bytes.size());
        fail(ErrorKind::data, "{}: {}", path.string(), printable(fault));  // it may hold bytes of the file
      }
      const int signal = stop();
      if (signal == SIGXCPU) throw TimedOut();
      if (fresh) fail(ErrorKind::data, "{}: the decoder crashed on it; not an image Convoy can read", path.string());
    }
  } catch (const TimedOut&) {
    stop();
    fail(ErrorKind::data, "{}: the decoder found no end to it; not an image Convoy can read", path.string());
  }
}

}  // namespace convoy
