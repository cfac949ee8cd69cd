#include "tests/cuda_emulation/nccl/wire.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace convoy::emulation::nccl {
namespace {

bool later(ssize_t result) { return result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR); }

struct Address {
  sockaddr_un name = {};
  socklen_t length = 0;

  explicit Address(const std::string& text) {
    name.sun_family = AF_UNIX;
    const size_t bytes = std::min(text.size(), sizeof name.sun_path - 1);
    std::memcpy(name.sun_path + 1, text.data(), bytes);  // the zero before it makes it abstract
    length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + bytes);
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&name); }
};

}  // namespace

Connection::Connection(int socket) : socket_(socket) { fcntl(socket_, F_SETFL, fcntl(socket_, F_GETFL) | O_NONBLOCK); }

Connection::~Connection() { close(socket_); }

void Connection::add(Message message) {
  message.header.payload_bytes = message.payload == nullptr ? 0 : message.payload->size();
  outgoing_.push_back(std::move(message));
}

bool Connection::send_some() {
  while (!outgoing_.empty()) {
    const Message& message = outgoing_.front();
    const size_t all = sizeof(Header) + message.header.payload_bytes;
    const bool in_header = sent_ < sizeof(Header);
    const auto* const from = in_header ? reinterpret_cast<const std::byte*>(&message.header) + sent_
                                       : message.payload->data() + (sent_ - sizeof(Header));
    const size_t bytes = (in_header ? sizeof(Header) : all) - sent_;
    const ssize_t written = send(socket_, from, bytes, MSG_NOSIGNAL);
    if (written < 0) return later(written);
    sent_ += static_cast<size_t>(written);
    if (sent_ < all) continue;
    outgoing_.pop_front();
    sent_ = 0;
  }
  return true;
}

bool Connection::receive_some(std::vector<Message>& received) {
  for (;;) {
    const bool in_header = received_ < sizeof(Header);
    auto* const to = in_header ? reinterpret_cast<std::byte*>(&header_) + received_
                               : payload_->data() + (received_ - sizeof(Header));
    const size_t bytes = sizeof(Header) + (in_header ? 0 : header_.payload_bytes) - received_;
    const ssize_t read = recv(socket_, to, bytes, 0);
    if (read <= 0) return later(read);
    received_ += static_cast<size_t>(read);
    if (in_header && received_ == sizeof(Header) && header_.payload_bytes > 0)
      payload_ = std::make_shared<Bytes>(header_.payload_bytes);
    if (received_ < sizeof(Header) || received_ < sizeof(Header) + header_.payload_bytes) continue;
    received.push_back({header_, std::move(payload_)});
    payload_ = nullptr;
    received_ = 0;
  }
}

int listen_at(const std::string& address) {
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const Address at(address);
  if (socket >= 0 && bind(socket, at.get(), at.length) == 0 && listen(socket, SOMAXCONN) == 0) return socket;
  if (socket >= 0) close(socket);
  return -1;
}

int connect_to(const std::string& address) {
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const Address at(address);
  if (socket >= 0 && connect(socket, at.get(), at.length) == 0) return socket;
  if (socket >= 0) close(socket);
  return -1;
}

}  // namespace convoy::emulation::nccl
