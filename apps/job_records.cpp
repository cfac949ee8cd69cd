#include "apps/job_records.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "parallel/agreement.h"
#include "tensor/error.h"

namespace convoy {
namespace {

constexpr const char* kVariable = "CONVOY_JOB_RECORDS";

off_t place_of(int rank) { return static_cast<off_t>(sizeof(JobRecord)) * rank; }

}  // namespace

JobRecords::JobRecords(int ranks) : file_(memfd_create("convoy job", MFD_CLOEXEC)), seen_(static_cast<size_t>(ranks)) {
  if (file_ < 0) fail(ErrorKind::device, "memfd_create: {}", std::strerror(errno));
  setenv(kVariable, fmt::format("/proc/{}/fd/{}", getpid(), file_).c_str(), 1);
}

JobRecords::~JobRecords() { close(file_); }

JobRecord JobRecords::read(int rank) const {
  JobRecord record;
  return pread(file_, &record, sizeof record, place_of(rank)) == sizeof record ? record : JobRecord{};
}

std::optional<int> JobRecords::silent_rank() {
  const auto now = Clock::now();
  for (size_t rank = 0; rank < seen_.size(); ++rank) {
    Seen& seen = seen_[rank];
    const int64_t heartbeats = read(static_cast<int>(rank)).heartbeats;
    if (heartbeats != seen.heartbeats) seen = {heartbeats, now};
    if (now - seen.since > (heartbeats > 0 ? kSilence : kStart)) return static_cast<int>(rank);
  }
  return std::nullopt;
}

SignsOfLife::SignsOfLife(int rank) : rank_(rank) {
  const char* const path = std::getenv(kVariable);
  if (path != nullptr) file_ = open(path, O_WRONLY | O_CLOEXEC);
  if (file_ < 0) return;
  JobRecord record;
  host_name().copy(record.host, sizeof record.host - 1);
  write(0, &record, sizeof record);
  heart_ = std::jthread([this](const std::stop_token& stop) {
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any stopped;
    for (int64_t beat = 1; !stop.stop_requested(); ++beat) {
      write(offsetof(JobRecord, heartbeats), &beat, sizeof beat);
      stopped.wait_for(lock, stop, kHeartbeat, [] { return false; });
    }
  });
}

SignsOfLife::~SignsOfLife() {
  if (heart_.joinable()) {
    heart_.request_stop();
    heart_.join();
  }
  if (file_ >= 0) close(file_);
}

void SignsOfLife::note_step(int64_t step) { write(offsetof(JobRecord, step), &step, sizeof step); }

void SignsOfLife::write(size_t offset, const void* bytes, size_t count) const {
  if (file_ < 0) return;
  [[maybe_unused]] const ssize_t written = pwrite(file_, bytes, count, place_of(rank_) + static_cast<off_t>(offset));
}

}  // namespace convoy
