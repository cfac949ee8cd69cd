#include "parallel/lost_rank.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tensor/error.h"

namespace convoy::tcp {

Doorbell::Doorbell() : file_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (file_ < 0) fail(ErrorKind::device, "eventfd: {}", std::strerror(errno));
}

Doorbell::~Doorbell() { close(file_); }

void Doorbell::ring() const { eventfd_write(file_, 1); }

void Doorbell::silence() const {
  eventfd_t rings = 0;
  eventfd_read(file_, &rings);
}

void LostRanks::tell(const LostRank& lost) {
  const std::lock_guard lock(mutex_);
  if (first_) return;
  first_ = lost;
  for (const Doorbell* bell : bells_) bell->ring();
}

std::optional<LostRank> LostRanks::first() const {
  const std::lock_guard lock(mutex_);
  return first_;
}

void LostRanks::hang_up(const Doorbell& bell) {
  const std::lock_guard lock(mutex_);
  bells_.push_back(&bell);
}

void LostRanks::take_down(const Doorbell& bell) {
  const std::lock_guard lock(mutex_);
  std::erase(bells_, &bell);
}

}  // namespace convoy::tcp
