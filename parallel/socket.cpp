#include "parallel/socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>

#include "tensor/error.h"

namespace convoy::tcp {
namespace {

constexpr int kKind = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

void set_option(const Socket& socket, int level, int option, int value) {
  setsockopt(socket.file(), level, option, &value, sizeof value);
}

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

// Null, and the reason in `status`, where there is none.
Addresses resolve(const std::string& host, int port, int& status) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  status = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  return Addresses(status == 0 ? list : nullptr);
}

[[noreturn]] void fail_to_find(const std::string& host, int status) {
  fail(ErrorKind::usage, "rendezvous: '{}' is no host that can be found ({}); correct MASTER_ADDR", host,
       gai_strerror(status));
}

// Binds and listens, or leaves the reason in errno.
Socket try_to_listen(const sockaddr* address, socklen_t length) {
  constexpr int kWaiting = 1024;
  Socket socket(::socket(address->sa_family, kKind, 0));
  if (!socket) return socket;
  set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1);
  if (address->sa_family == AF_INET6) set_option(socket, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  if (bind(socket.file(), address, length) != 0 || listen(socket.file(), kWaiting) != 0) {
    const int reason = errno;
    socket = Socket();
    errno = reason;
  }
  return socket;
}

bool is_connected_with_itself(const Socket& socket) {
  sockaddr_storage own{}, peer{};
  socklen_t length = sizeof own, peer_length = sizeof peer;
  return getsockname(socket.file(), reinterpret_cast<sockaddr*>(&own), &length) == 0 &&
         getpeername(socket.file(), reinterpret_cast<sockaddr*>(&peer), &peer_length) == 0 && length == peer_length &&
         std::memcmp(&own, &peer, length) == 0;
}

// Connects within a few seconds, or returns none and the reason.
Socket try_to_connect(const addrinfo& address, Deadline deadline, std::string& reason) {
  constexpr std::chrono::seconds kAttempt{5};
  Socket socket(::socket(address.ai_family, kKind, 0));
  int status = 0;
  if (!socket ||
      (connect(socket.file(), address.ai_addr, address.ai_addrlen) != 0 && errno != EINPROGRESS && errno != EINTR)) {
    status = errno;
  } else if (!wait_until_ready(socket.file(), POLLOUT, std::min(deadline, Clock::now() + kAttempt))) {
    status = ETIMEDOUT;
  } else {
    socklen_t length = sizeof status;
    getsockopt(socket.file(), SOL_SOCKET, SO_ERROR, &status, &length);
    // Where nobody listens at a port that the system also gives out, it may connect a socket with itself.
    if (status == 0 && is_connected_with_itself(socket)) status = ECONNREFUSED;
  }
  if (status != 0) {
    reason = std::strerror(status);
    return {};
  }
  set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  return socket;
}

// `call` once, or until it goes on; see send_all().
template <class Call>
const char* transfer(const Socket& socket, size_t size, short events, Deadline deadline, Call&& call) {
  for (size_t done = 0; done < size;) {
    const ssize_t count = call(done);
    if (count > 0) {
      done += static_cast<size_t>(count);
    } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
      return "has hung up";
    } else if (!wait_until_ready(socket.file(), events, deadline)) {
      return "does not answer";
    }
  }
  return nullptr;
}

}  // namespace

Socket::~Socket() {
  if (file_ >= 0) close(file_);
}

Socket listen_on(int port) {
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(static_cast<uint16_t>(port));
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = six.sin6_port;
  // One socket for both, but on hosts without IPv6.
  Socket socket = try_to_listen(reinterpret_cast<const sockaddr*>(&six), sizeof six);
  if (!socket && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL))
    socket = try_to_listen(reinterpret_cast<const sockaddr*>(&four), sizeof four);
  if (socket) return socket;
  if (errno == EADDRINUSE)
    fail(ErrorKind::usage,
         "rendezvous: port {} of this host is in use (by another rank 0?); choose another MASTER_PORT, or end who has "
         "it",
         port);
  fail(ErrorKind::usage, "rendezvous: port {} of this host: {}; choose another MASTER_PORT", port,
       std::strerror(errno));
}

int port_of(const Socket& listener) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  getsockname(listener.file(), reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

Socket accept_from(const Socket& listener) {
  Socket socket(accept4(listener.file(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (socket) set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  return socket;
}

void check_host(const std::string& host, int port) {
  int status = 0;
  resolve(host, port, status);
  if (status != 0 && status != EAI_AGAIN) fail_to_find(host, status);
}

Socket connect_to(const std::string& host, int port, Deadline deadline, std::string& reason) {
  constexpr std::chrono::milliseconds kShortest{20}, kLongest{500};
  auto pause = kShortest;
  while (true) {
    int status = 0;
    const Addresses addresses = resolve(host, port, status);
    if (status != 0 && (status != EAI_AGAIN || Clock::now() > deadline)) fail_to_find(host, status);
    reason = "it has no address yet";
    for (const addrinfo* each = addresses.get(); each != nullptr; each = each->ai_next) {
      if (Socket socket = try_to_connect(*each, deadline, reason)) return socket;
    }
    if (Clock::now() + pause > deadline) return {};
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, kLongest);
  }
}

std::string address_of_peer(const Socket& socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  getpeername(socket.file(), reinterpret_cast<sockaddr*>(&address), &length);
  char text[NI_MAXHOST] = {};
  getnameinfo(reinterpret_cast<const sockaddr*>(&address), length, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
  std::string host = text;
  if (host.starts_with("::ffff:")) host = host.substr(7);  // IPv4, seen by a socket for both
  return host == "::1" || host.starts_with("127.") ? "" : host;
}

bool wait_until_ready(int file, short events, Deadline deadline) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd files{file, events, 0};
    const int ready = poll(&files, 1, static_cast<int>(std::max<int64_t>(left, 0)));
    if (ready > 0) return true;
    if (left <= 0) return false;
  }
}

const char* send_all(const Socket& socket, std::span<const std::byte> data, Deadline deadline) {
  return transfer(socket, data.size(), POLLOUT, deadline, [&](size_t done) {
    return send(socket.file(), data.data() + done, data.size() - done, MSG_NOSIGNAL);
  });
}

const char* receive_all(const Socket& socket, std::span<std::byte> data, Deadline deadline) {
  return transfer(socket, data.size(), POLLIN, deadline,
                  [&](size_t done) { return recv(socket.file(), data.data() + done, data.size() - done, 0); });
}

}  // namespace convoy::tcp
