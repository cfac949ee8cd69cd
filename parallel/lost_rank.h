// Which rank of a job was lost, and how: what all transports of a process know together, so that they name the same one.
#pragma once

#include <mutex>
#include <optional>
#include <vector>

namespace convoy::tcp {

struct LostRank {
  enum class How { left, silent };
  int rank = -1;
  How how = How::left;
};

// Wakes a thread that is in poll().
class Doorbell {
 public:
  Doorbell();  // throws Error(device) when the system refuses
  ~Doorbell();
  Doorbell(const Doorbell&) = delete;
  Doorbell& operator=(const Doorbell&) = delete;

  int file() const { return file_; }  // can be read once it has been rung
  void ring() const;
  void silence() const;

 private:
  int file_ = -1;
};

// From any thread.
class LostRanks {
 public:
  // The first one that is told stays; all doorbells that are hung up here ring.
  void tell(const LostRank& lost);
  std::optional<LostRank> first() const;

  void hang_up(const Doorbell& bell);
  void take_down(const Doorbell& bell);

 private:
  mutable std::mutex mutex_;
  std::optional<LostRank> first_;       // guarded by mutex_
  std::vector<const Doorbell*> bells_;  // likewise
};

}  // namespace convoy::tcp
