// Signs of life that the ranks of a job leave for its launcher, on the host of the launcher: how far each has come, and
// a heartbeat, by which a rank is noticed that is stopped but not dead.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <thread>
#include <vector>

#include "parallel/heartbeat.h"

namespace convoy {

struct JobRecord {
  int64_t step = 0;        // completed
  int64_t heartbeats = 0;  // 0: the rank has not yet begun
  char host[48] = {};
};

// The launcher's side: memory that looks like a file. Ranks find it by an environment variable while the launcher
// lives, and nothing is left behind.
class JobRecords {
 public:
  explicit JobRecords(int ranks);  // sets the variable; throws Error(device) when the system refuses
  ~JobRecords();
  JobRecords(const JobRecords&) = delete;
  JobRecords& operator=(const JobRecords&) = delete;

  JobRecord read(int rank) const;
  // A rank whose heart has been still for longer than kSilence, as seen by calls of this function, or that has not
  // begun within kStart.
  std::optional<int> silent_rank();

  static constexpr std::chrono::seconds kStart{30};

 private:
  using Clock = std::chrono::steady_clock;
  struct Seen {
    int64_t heartbeats = 0;
    Clock::time_point since = Clock::now();
  };
  int file_ = -1;
  std::vector<Seen> seen_;
};

// A rank's side; does nothing where there is no launcher.
class SignsOfLife {
 public:
  explicit SignsOfLife(int rank);
  ~SignsOfLife();
  SignsOfLife(const SignsOfLife&) = delete;
  SignsOfLife& operator=(const SignsOfLife&) = delete;

  void note_step(int64_t step);

 private:
  // Part of this rank's record. Each thread writes fields of its own, so that none is set back to what another saw.
  void write(size_t offset, const void* bytes, size_t count) const;

  int rank_, file_ = -1;
  std::jthread heart_;
};

}  // namespace convoy
