#include "apps/launch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "apps/interrupt.h"
#include "apps/job_records.h"
#include "apps/mpirun_output.h"
#include "apps/signal_file.h"
#include "tensor/cores.h"
#include "tensor/error.h"

namespace convoy {
namespace {

std::vector<std::string> mpirun_command(const char* command, const GivenOptions& given, const Settings& settings) {
  // --oversubscribe: cores are counted by us, mpirun counts in its own ways.
  std::vector<std::string> words{"mpirun",          "-n",        std::to_string(settings.ranks),
                                 "--oversubscribe", "--bind-to", "none"};
  if (geteuid() == 0) words.push_back("--allow-run-as-root");
  words.insert(words.end(), {std::filesystem::read_symlink("/proc/self/exe").string(), command});
  for (const auto& [name, text] : given) {
    if (name != "--ranks") words.insert(words.end(), {name + "=" + text});
  }
  // A resumed run knows the number.
  if (!given.contains("--resume")) words.push_back("--ranks=" + std::to_string(settings.ranks));
  return words;
}

// In the child: becomes mpirun, or ends with 127.
[[noreturn]] void become(const std::vector<std::string>& words, int out_pipe, int error_pipe) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  setpgid(0, 0);                     // a terminal's Ctrl-C comes to the launcher alone
  prctl(PR_SET_PDEATHSIG, SIGTERM);  // and when that is killed, the job ends
  dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
  dup2(out_pipe, STDOUT_FILENO);
  dup2(error_pipe, STDERR_FILENO);
  execvp(arguments[0], arguments.data());
  _exit(127);
}

// Hands on what has come, and no longer looks at a file that has ended.
template <class HandOn>
void read_some(pollfd& file, HandOn&& hand_on) {
  if (file.revents == 0) return;
  char bytes[4096];
  const ssize_t count = read(file.fd, bytes, sizeof bytes);
  if (count > 0) hand_on(std::string_view(bytes, static_cast<size_t>(count)));
  if (count > 0 || (count < 0 && errno == EINTR)) return;
  close(file.fd);
  file.fd = -1;  // which poll() leaves out
}

std::string fate_of(const FailedRank& failed) {
  if (failed.signal == 0) return fmt::format("ended early with exit code {}", failed.exit_code);
  return fmt::format("was killed by signal {} ({})", failed.signal, strsignal(failed.signal));
}

std::string how_it_ended(int rank, const JobRecord& record, const std::string& fate) {
  std::string text = fmt::format("rank {}", rank);
  if (record.host[0] != 0) text += fmt::format(" on {}", record.host);
  text += " " + fate;
  if (record.step > 0) text += fmt::format(" after step {}", record.step);
  return text + "; all other ranks were ended";
}

}  // namespace

int launch_ranks(const char* command, const GivenOptions& given, const Settings& settings) {
  const int cores = available_cores();
  if (settings.ranks > 2 * cores)
    fmt::print(stderr, "convoy: warning: starting {} processes on {} cores\n", settings.ranks, cores);
  JobRecords records(settings.ranks);
  // Its stdout goes through here, too: mpirun ends the job when nobody reads it any more.
  int out[2], error[2];
  if (pipe2(out, O_CLOEXEC) != 0 || pipe2(error, O_CLOEXEC) != 0)
    fail(ErrorKind::device, "mpirun: cannot be started: {}", std::strerror(errno));

  const SignalFile signals;
  const pid_t mpirun = fork();
  if (mpirun < 0) fail(ErrorKind::device, "mpirun: cannot be started: {}", std::strerror(errno));
  if (mpirun == 0) become(mpirun_command(command, given, settings), out[1], error[1]);
  close(out[1]);
  close(error[1]);

  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds kLookAgain{500};
  MpirunOutput output([](std::string_view text) { fmt::print(stderr, "{}", text); });
  int interrupted = 0;
  Clock::time_point asked;  // the ranks to stop
  std::optional<int> silent;
  pollfd files[] = {{out[0], POLLIN, 0}, {error[0], POLLIN, 0}, {signals.file(), POLLIN, 0}};
  while (files[0].fd >= 0 || files[1].fd >= 0) {
    if (poll(files, 3, static_cast<int>(kLookAgain.count())) < 0) continue;
    if (!silent && (silent = records.silent_rank())) kill(mpirun, SIGTERM);
    if (files[2].revents & POLLIN) {
      const int signal = signals.read_signal();
      if (interrupted == 0) {
        tell_of_signal(signal, kStoppingAfterStep);
        interrupted = signal;
      } else {
        kill(mpirun, SIGTERM);  // ends all ranks
      }
    }
    // Handed on to all ranks; again and again, because mpirun loses what comes while it starts them.
    if (interrupted != 0 && Clock::now() - asked >= kLookAgain) {
      kill(mpirun, SIGUSR1);
      asked = Clock::now();
    }
    read_some(files[0], [](std::string_view text) {
      std::fwrite(text.data(), 1, text.size(), stdout);
      std::fflush(stdout);
    });
    read_some(files[1], [&](std::string_view text) { output.add(text); });
  }
  output.finish();
  int status = 0;
  while (waitpid(mpirun, &status, 0) < 0 && errno == EINTR) continue;

  if (silent) {
    const JobRecord record = records.read(*silent);
    const auto seconds = record.heartbeats > 0 ? kSilence : JobRecords::kStart;
    const std::string fate = fmt::format("has shown no sign of life for {} s (is it stopped?)", seconds.count());
    fail(ErrorKind::peer, "{}", how_it_ended(*silent, record, fate));
  }
  if (interrupted != 0) {
    if (records.read(0).step == 0) fmt::print(stderr, "interrupted before the first step; no weights were written\n");
    return 128 + interrupted;
  }
  const int exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (exit_code == 0) return 0;
  if (exit_code == 127 && !output.failed_rank())
    fail(ErrorKind::usage,
         "mpirun: not found; install it (openmpi-bin), start the ranks yourself (RANK, WORLD_SIZE: docs/parallel.md), "
         "or choose another --strategy");
  // A rank that has told its own error has also chosen the exit code.
  if (output.rank_told()) return exit_code;
  if (WIFSIGNALED(status) && !output.failed_rank())
    fail(ErrorKind::peer, "mpirun was killed by signal {} ({}); all ranks were ended", WTERMSIG(status),
         strsignal(WTERMSIG(status)));
  const FailedRank failed = output.failed_rank().value_or(FailedRank{.rank = 0, .exit_code = exit_code});
  fail(ErrorKind::peer, "{}", how_it_ended(failed.rank, records.read(failed.rank), fate_of(failed)));
}

}  // namespace convoy
