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
#include <cstring>
#include <filesystem>
#include <optional>
#include <vector>

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
[[noreturn]] void become(const std::vector<std::string>& words, int error_pipe) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  setpgid(0, 0);                     // a terminal's Ctrl-C comes to the launcher alone
  prctl(PR_SET_PDEATHSIG, SIGTERM);  // and when that is killed, the job ends
  dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
  dup2(error_pipe, STDERR_FILENO);
  execvp(arguments[0], arguments.data());
  _exit(127);
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
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) fail(ErrorKind::device, "mpirun: cannot be started: {}", std::strerror(errno));

  const SignalFile signals;
  const pid_t mpirun = fork();
  if (mpirun < 0) fail(ErrorKind::device, "mpirun: cannot be started: {}", std::strerror(errno));
  if (mpirun == 0) become(mpirun_command(command, given, settings), pipe_ends[1]);
  close(pipe_ends[1]);

  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds kLookAgain{500};
  MpirunOutput output([](std::string_view text) { fmt::print(stderr, "{}", text); });
  int interrupted = 0;
  Clock::time_point asked;  // the ranks to stop
  std::optional<int> silent;
  for (bool open = true; open;) {
    pollfd files[] = {{pipe_ends[0], POLLIN, 0}, {signals.file(), POLLIN, 0}};
    if (poll(files, 2, static_cast<int>(kLookAgain.count())) < 0) continue;
    if (!silent && (silent = records.silent_rank())) kill(mpirun, SIGTERM);
    if (files[1].revents & POLLIN) {
      const int signal = signals.read_signal();
      if (interrupted == 0) {
        fmt::print(stderr, "stopping after this step; Ctrl-C again stops now\n");
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
    if (files[0].revents == 0) continue;
    char bytes[4096];
    const ssize_t count = read(pipe_ends[0], bytes, sizeof bytes);
    if (count > 0) output.add({bytes, static_cast<size_t>(count)});
    open = count > 0 || (count < 0 && errno == EINTR);
  }
  output.finish();
  close(pipe_ends[0]);
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
