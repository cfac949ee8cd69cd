#include "parallel/tcp_connection.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tensor/error.h"

namespace convoy::tcp {
namespace {

constexpr int kNumberBits = 56;

void check_sizes(uint64_t sent, uint64_t expected) {
  if (sent != expected) fail(ErrorKind::internal, "tcp: {} bytes sent, {} expected", sent, expected);
}

}  // namespace

Connection::Header Connection::header_of(Kind kind, uint64_t number) {
  const uint64_t word = uint64_t{kind} << kNumberBits | number;
  Header header;
  std::memcpy(header.data(), &word, sizeof word);
  return header;
}

// --- out ------------------------------------------------------------------------------------------------------------

void Connection::send(std::shared_ptr<Outgoing> message) { messages_.push_back(std::move(message)); }

bool Connection::can_send_message() const {
  return !messages_.empty() && (messages_.front()->data.size() <= kEager || !ready_.empty());
}

bool Connection::wants_to_write() const {
  if (deaf_) return false;
  const bool something_to_say = !control_.empty() || can_send_message() || (!messages_.empty() && !announced_) ||
                                (closing_ && messages_.empty() && !goodbye_sent_);
  return writing_.has_value() || something_to_say;
}

bool Connection::start_next_frame() {
  if (!control_.empty()) {
    writing_ = Writing{.header = control_.front()};
    control_.pop_front();
  } else if (can_send_message()) {
    const std::shared_ptr<Outgoing> message = std::move(messages_.front());
    messages_.pop_front();
    const uint64_t size = message->data.size();
    if (size > kEager) {
      check_sizes(size, ready_.front());
      ready_.pop_front();
    }
    announced_ = false;
    writing_ = Writing{.header = header_of(kMessage, size), .payload = message->data, .message = message};
  } else if (!messages_.empty() && !announced_) {
    announced_ = true;
    writing_ = Writing{.header = header_of(kAnnounce, messages_.front()->data.size())};
  } else if (closing_ && messages_.empty() && !goodbye_sent_) {
    goodbye_sent_ = true;
    writing_ = Writing{.header = header_of(kGoodbye, 0)};
  }
  return writing_.has_value();
}

void Connection::write() {
  while (!deaf_ && (writing_ || start_next_frame())) {
    Writing& frame = *writing_;
    const size_t of_header = std::min(frame.written, frame.header.size()), of_payload = frame.written - of_header;
    auto* const payload = const_cast<std::byte*>(frame.payload.data());  // sendmsg() only reads it
    iovec parts[] = {{frame.header.data() + of_header, frame.header.size() - of_header},
                     {payload + of_payload, frame.payload.size() - of_payload}};
    msghdr both{};
    both.msg_iov = parts;
    both.msg_iovlen = 2;
    const ssize_t count = sendmsg(file(), &both, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count < 0) {  // what the other end has said before it went can still be read, so reading tells how it ended
      deaf_ = true;
      return;
    }
    spoke_ = Clock::now();
    frame.written += static_cast<size_t>(count);
    if (frame.written < frame.header.size() + frame.payload.size()) continue;
    if (frame.message != nullptr) frame.message->done = true;
    writing_.reset();
  }
}

void Connection::tell_lost(const LostRank& lost) {
  control_.push_back(header_of(kLost, static_cast<uint64_t>(lost.how) << 32 | static_cast<uint32_t>(lost.rank)));
}

void Connection::forget_messages() {
  messages_.clear();
  receives_.clear();
  kept_.clear();
  control_.clear();
  forgetting_ = true;
  if (writing_ && writing_->message != nullptr) {
    writing_->copy.assign(writing_->payload.begin(), writing_->payload.end());
    writing_->payload = writing_->copy;
    writing_->message = nullptr;
  }
  if (reading_ != nullptr) {
    buffer_.resize(left_.size());
    left_ = buffer_;
    reading_ = nullptr;
  }
}

bool Connection::awaited() const {
  const bool half_sent = writing_ && writing_->message != nullptr;
  return half_sent || !messages_.empty() || reading_ != nullptr || !receives_.empty();
}

void Connection::shut_down() {
  shutdown(file(), SHUT_RDWR);
  deaf_ = true;
}

// --- in -------------------------------------------------------------------------------------------------------------

void Connection::deliver(Incoming& message, std::vector<std::byte> bytes) {
  check_sizes(bytes.size(), message.data.size());
  std::ranges::copy(bytes, message.data.begin());
  message.done = true;
}

void Connection::receive(std::shared_ptr<Incoming> message) {
  if (!kept_.empty()) {
    deliver(*message, std::move(kept_.front()));
    kept_.pop_front();
    return;
  }
  const uint64_t size = message->data.size();
  const bool first = receives_.empty() && buffer_.empty();
  if (first && awaiting_ready_) check_sizes(*std::exchange(awaiting_ready_, std::nullopt), size);
  if (size > kEager) control_.push_back(header_of(kReady, size));
  receives_.push_back(std::move(message));
}

// The header has been read.
void Connection::begin_frame() {
  uint64_t word = 0;
  std::memcpy(&word, header_.data(), sizeof word);
  const uint64_t number = word & ((uint64_t{1} << kNumberBits) - 1);
  switch (static_cast<Kind>(word >> kNumberBits)) {
    case kMessage:
      if (receives_.empty()) {
        buffer_.resize(number);
        left_ = buffer_;
      } else {
        reading_ = std::move(receives_.front());
        receives_.pop_front();
        check_sizes(number, reading_->data.size());
        left_ = reading_->data;
      }
      if (number == 0) end_message();
      break;
    case kReady:
      ready_.push_back(number);
      header_read_ = 0;
      break;
    case kAnnounce:
      if (!receives_.empty()) check_sizes(number, receives_.front()->data.size());
      if (receives_.empty()) awaiting_ready_ = number;
      header_read_ = 0;
      break;
    case kLost:
      told_lost_ = LostRank{static_cast<int>(number & 0xFFFFFFFF), static_cast<LostRank::How>(number >> 32)};
      header_read_ = 0;
      break;
    case kGoodbye:
      goodbye_ = true;
      control_.push_back(header_of(kFarewell, 0));
      header_read_ = 0;
      break;
    case kFarewell:
      farewell_ = true;
      header_read_ = 0;
      break;
    case kHeartbeatFrame:
      header_read_ = 0;
      break;
    default:
      fail(ErrorKind::internal, "tcp: a frame of unknown kind {}", word >> kNumberBits);
  }
}

void Connection::end_message() {
  header_read_ = 0;
  if (reading_ != nullptr) {
    reading_->done = true;
    reading_ = nullptr;
    return;
  }
  std::vector<std::byte> bytes = std::exchange(buffer_, {});
  if (forgetting_) return;
  if (receives_.empty()) {
    kept_.push_back(std::move(bytes));
  } else {  // asked for while it arrived
    deliver(*receives_.front(), std::move(bytes));
    receives_.pop_front();
  }
}

void Connection::read() {
  constexpr size_t kTurn = 4 << 20;  // bytes; then the other connections have theirs
  for (size_t read = 0; read < kTurn && !ended_;) {
    const bool in_header = header_read_ < header_.size();
    const std::span<std::byte> into = in_header ? std::span(header_).subspan(header_read_) : left_;
    const ssize_t count = recv(file(), into.data(), into.size(), MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) {
      ended_ = true;
      return;
    }
    heard_ = Clock::now();
    read += static_cast<size_t>(count);
    if (in_header) {
      header_read_ += static_cast<size_t>(count);
      if (header_read_ == header_.size()) begin_frame();
    } else {
      left_ = left_.subspan(static_cast<size_t>(count));
      if (left_.empty()) end_message();
    }
  }
}

}  // namespace convoy::tcp
