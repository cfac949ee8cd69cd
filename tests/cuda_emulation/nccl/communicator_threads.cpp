// What the two threads of a communicator do.
#include <poll.h>
#include <unistd.h>

#include "tests/cuda_emulation/nccl/communicator.h"

namespace convoy::emulation::nccl {

// In the order of their beginning: what an operation stands behind in its stream was begun before it.
void Communicator::run_driver() {
  for (;;) {
    std::shared_ptr<Operation> operation;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return closing_ || !to_drive_.empty(); });
      if (closing_) return;
      operation = std::move(to_drive_.front());
      to_drive_.pop_front();
    }
    const Record& reached = *operation->reached;
    work_until(
        device, reached.stream, [&] { return reached.done.load(); }, &closing_);
    bool handed_over;
    {
      const std::lock_guard lock(mutex_);
      handed_over = operation->state != Operation::State::begun;
    }
    if (!handed_over && !closing_) drop(*operation);
  }
}

void Communicator::run_messenger() {
  std::unique_ptr<Connection> connection;
  if (const int socket = connect_to(hub_); socket >= 0) {
    connection = std::make_unique<Connection>(socket);
    connection->add(
        {{.kind = Kind::hello, .rank = rank, .ranks = ranks, .process = getpid(), .device = device.index}, nullptr});
  }
  while (!closing_) {
    // Without a hub there is nobody to hear from, any more: like a rank that is gone, no reason for an error.
    if (connection != nullptr && !connection->send_some()) connection = nullptr;
    const short events = connection != nullptr && connection->wants_to_send() ? POLLIN | POLLOUT : POLLIN;
    pollfd watched[] = {{wake_, POLLIN, 0}, {connection != nullptr ? connection->socket() : -1, events, 0}};
    if (::poll(watched, 2, -1) < 0) continue;
    if (watched[0].revents != 0) {
      uint64_t times;
      [[maybe_unused]] const ssize_t bytes = read(wake_, &times, sizeof times);
    }
    std::vector<Message> received, to_send;
    if ((watched[1].revents & ~POLLOUT) != 0 && !connection->receive_some(received)) connection = nullptr;
    for (const Message& message : received) hear(message);
    {
      const std::lock_guard lock(mutex_);
      to_send.swap(to_send_);
    }
    for (Message& message : to_send) {
      if (connection != nullptr) connection->add(std::move(message));
    }
  }
}

void Communicator::hear(const Message& message) {
  std::shared_ptr<Operation> complete;
  {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
    if (message.header.kind == Kind::welcome) {
      joined_ = true;
    } else if (message.header.kind == Kind::refusal) {
      const auto* const text = reinterpret_cast<const char*>(message.payload->data());
      failed_ = message.header.result;
      failure_.assign(text, message.payload->size());
    } else if (const auto found = under_way_.find(message.header.operation); found != under_way_.end()) {
      Operation& operation = *found->second;
      operation.parts[message.header.part].result = message.payload;
      if (--operation.unanswered == 0) complete = found->second;
    }
  }
  if (complete != nullptr) end(*complete, Operation::State::complete);
  if (message.header.kind == Kind::refusal) end_all(Operation::State::failed);
}

void Communicator::wake_messenger() {
  const uint64_t once = 1;
  [[maybe_unused]] const ssize_t bytes = write(wake_, &once, sizeof once);
}

}  // namespace convoy::emulation::nccl
