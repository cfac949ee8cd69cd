#include "tests/cuda_emulation/nccl/communicator.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstring>

namespace convoy::emulation::nccl {
namespace {

Random random_of(EmulatedDevice& device) {
  const std::lock_guard lock(device.mutex);
  return Random(device.random.next());
}

}  // namespace

Communicator::Communicator(EmulatedDevice& device, int ranks, int rank, bool blocking, const std::string& hub)
    : device(device),
      ranks(ranks),
      rank(rank),
      blocking(blocking),
      hub_(hub),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      random_(random_of(device)) {
  if (!blocking) polls_left_ = 1 + static_cast<int>(random_.below(4));
}

Communicator::~Communicator() { ::close(wake_); }

void Communicator::start() {
  driver_ = std::thread([self = shared_from_this()] { self->run_driver(); });
  messenger_ = std::thread([self = shared_from_this()] { self->run_messenger(); });
}

// --- what the host is told ----------------------------------------------------------------------------------------

ncclResult_t Communicator::state_locked() const {
  if (failed_ != ncclSuccess) return failed_;
  const bool busy = !joined_ || polls_left_ > 0 || (finalized_ && !blocking && !under_way_.empty());
  return busy ? ncclInProgress : ncclSuccess;
}

ncclResult_t Communicator::state() {
  const std::lock_guard lock(mutex_);
  return state_locked();
}

ncclResult_t Communicator::poll() {
  std::function<ncclResult_t()> now;
  {
    const std::lock_guard lock(mutex_);
    if (failed_ != ncclSuccess || !joined_ || polls_left_ == 0) return state_locked();
    if (--polls_left_ > 0) return ncclInProgress;
    now = std::exchange(put_off_, nullptr);
  }
  const ncclResult_t result = now == nullptr ? ncclSuccess : now();
  const std::lock_guard lock(mutex_);
  if (result != ncclSuccess && failed_ == ncclSuccess) failed_ = result;
  return failed_ != ncclSuccess ? failed_ : ncclInProgress;
}

std::string Communicator::failure() {
  const std::lock_guard lock(mutex_);
  return failure_;
}

ncclResult_t Communicator::wait_until_joined() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return joined_ || failed_ != ncclSuccess || closing_; });
  if (failed_ != ncclSuccess) return failed_;
  return joined_ ? ncclSuccess : ncclInvalidUsage;
}

bool Communicator::put_off(std::function<ncclResult_t()> what) {
  const std::lock_guard lock(mutex_);
  if (blocking || random_.below(2) == 0) return false;
  polls_left_ = 1 + static_cast<int>(random_.below(4));
  put_off_ = std::move(what);
  return true;
}

void Communicator::finalize() {
  std::function<ncclResult_t()> now;
  {
    const std::lock_guard lock(mutex_);
    now = std::exchange(put_off_, nullptr);
  }
  if (now != nullptr) now();
  const std::lock_guard lock(mutex_);
  finalized_ = true;
  if (!blocking) polls_left_ = 1 + static_cast<int>(random_.below(4));
}

bool Communicator::finalized() {
  const std::lock_guard lock(mutex_);
  return finalized_;
}

void Communicator::wait_until_idle() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return (joined_ && under_way_.empty()) || failed_ != ncclSuccess || closing_; });
}

// --- the way of an operation ----------------------------------------------------------------------------------------

std::shared_ptr<Operation> Communicator::begin(std::vector<Part> parts, std::shared_ptr<Record>& previous) {
  const auto operation = std::make_shared<Operation>();
  const std::lock_guard lock(mutex_);
  if (failed_ != ncclSuccess || closing_) return nullptr;
  operation->number = operations_begun_++;
  operation->unanswered = parts.size();
  operation->over = std::make_shared<Record>();
  operation->over->device = &device;
  for (size_t i = 0; i < parts.size(); ++i) {
    Header& request = parts[i].request;
    request.operation = operation->number;
    request.part = static_cast<uint32_t>(i);
    if (request.kind != Kind::send && request.kind != Kind::receive) request.collective = collectives_begun_++;
  }
  operation->parts = std::move(parts);
  under_way_[operation->number] = operation;
  previous = std::exchange(last_over_, operation->over);
  return operation;
}

void Communicator::drive(const std::shared_ptr<Operation>& operation) {
  const std::lock_guard lock(mutex_);
  to_drive_.push_back(operation);
  changed_.notify_all();
}

void Communicator::drop(Operation& operation) { end(operation, Operation::State::dropped); }

void Communicator::hand_over(Operation& operation) {
  const std::lock_guard lock(mutex_);
  if (operation.state != Operation::State::begun) return;
  operation.state = Operation::State::handed_over;
  for (const Part& part : operation.parts) {
    const auto* const first = static_cast<const std::byte*>(part.in);
    to_send_.push_back(
        {part.request, first == nullptr ? nullptr : std::make_shared<Bytes>(first, first + part.in_bytes)});
  }
  wake_messenger();
}

std::string Communicator::take_results(Operation& operation) {
  const std::lock_guard lock(mutex_);
  if (operation.state == Operation::State::failed) return "nccl: " + failure_;
  for (Part& part : operation.parts) {
    if (part.out == nullptr || part.out_bytes == 0) continue;
    if (operation.state == Operation::State::complete) {
      std::memcpy(part.out, part.result->data(), part.out_bytes);
    } else {
      std::memset(part.out, 0xFF, part.out_bytes);
    }
    part.result = nullptr;
  }
  return "";
}

void Communicator::end(Operation& operation, Operation::State state) {
  {
    const std::lock_guard lock(mutex_);
    if (operation.state != Operation::State::begun && operation.state != Operation::State::handed_over) return;
    operation.state = state;
  }
  come_true(*operation.over);
  const std::lock_guard lock(mutex_);
  under_way_.erase(operation.number);
  changed_.notify_all();
}

void Communicator::end_all(Operation::State state) {
  std::vector<std::shared_ptr<Operation>> all;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [number, operation] : under_way_) all.push_back(operation);
  }
  for (const std::shared_ptr<Operation>& operation : all) end(*operation, state);
}

void Communicator::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    put_off_ = nullptr;
    changed_.notify_all();
  }
  end_all(Operation::State::aborted);
  wake_messenger();
  wake_all_devices();
  if (driver_.joinable()) driver_.join();
  if (messenger_.joinable()) messenger_.join();
}

}  // namespace convoy::emulation::nccl
