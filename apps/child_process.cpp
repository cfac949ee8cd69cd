#include "apps/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tensor/error.h"

namespace convoy {
namespace {

struct Pipe {
  int read_end = -1, write_end = -1;
  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) fail(ErrorKind::device, "pipe: {}", std::strerror(errno));
    read_end = ends[0];
    write_end = ends[1];
  }
  ~Pipe() {
    close(read_end);
    close_write_end();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void close_write_end() {
    if (write_end >= 0) close(write_end);
    write_end = -1;
  }
  // False at the end of what is written.
  bool read_more(std::string& text) const {
    char bytes[4096];
    const ssize_t count = read(read_end, bytes, sizeof bytes);
    if (count > 0) text.append(bytes, static_cast<size_t>(count));
    return count > 0 || (count < 0 && errno == EINTR);
  }
};

// In the child: becomes the program, or ends with 127.
[[noreturn]] void become(const std::vector<std::string>& words, const Pipe& out, const Pipe& error) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  setpgid(0, 0);  // a terminal's Ctrl-C comes to the parent alone
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
  dup2(out.write_end, STDOUT_FILENO);
  dup2(error.write_end, STDERR_FILENO);
  execvp(arguments[0], arguments.data());
  _exit(127);
}

}  // namespace

ChildOutcome run_child(const std::vector<std::string>& words, const SignalFile& signals,
                       const std::function<void(const ChildOutcome&)>& tick) {
  constexpr int kTick = 200;  // milliseconds
  Pipe out, error;
  const pid_t child = fork();
  if (child < 0) fail(ErrorKind::device, "{}: cannot be started: {}", words[0], std::strerror(errno));
  if (child == 0) become(words, out, error);
  out.close_write_end();
  error.close_write_end();

  ChildOutcome outcome;
  pollfd files[] = {{out.read_end, POLLIN, 0}, {error.read_end, POLLIN, 0}, {signals.file(), POLLIN, 0}};
  while (files[0].fd >= 0 || files[1].fd >= 0) {  // a negative one is left out by poll()
    if (poll(files, 3, kTick) < 0) continue;
    if (files[0].revents != 0 && !out.read_more(outcome.out)) files[0].fd = -1;
    if (files[1].revents != 0 && !error.read_more(outcome.error)) files[1].fd = -1;
    if (files[2].revents & POLLIN) {
      const int signal = signals.read_signal();
      kill(child, outcome.interrupted == 0 ? SIGINT : SIGKILL);
      if (outcome.interrupted == 0) outcome.interrupted = signal;
    }
    if (tick) tick(outcome);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

std::string last_line(const std::string& text) {
  const size_t end = text.find_last_not_of('\n');
  if (end == std::string::npos) return "";
  const size_t before = text.rfind('\n', end);
  return text.substr(before == std::string::npos ? 0 : before + 1,
                     end - (before == std::string::npos ? 0 : before + 1) + 1);
}

}  // namespace convoy
