// TCP sockets: owned, never blocking by themselves; what waits here has a deadline. Addresses are IPv4 or IPv6.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <utility>

namespace convoy::tcp {

using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;

class Socket {
 public:
  Socket() = default;
  explicit Socket(int file) : file_(file) {}
  ~Socket();
  Socket(Socket&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
  }

  int file() const { return file_; }
  explicit operator bool() const { return file_ >= 0; }

 private:
  int file_ = -1;
};

// A socket that listens at all addresses of this host; port 0 chooses a free one. Throws Error(usage) when the port is in
// use or not allowed.
Socket listen_on(int port);
int port_of(const Socket& listener);

// The next connection, or none when nobody waits for one.
Socket accept_from(const Socket& listener);

// Throws Error(usage) for a host that cannot be found.
void check_host(const std::string& host, int port);

// Tries again until somebody listens there; none, and the reason, at the deadline. Throws Error(usage) when the host has no
// address.
Socket connect_to(const std::string& host, int port, Deadline deadline, std::string& reason);

// The address at the other end, "10.0.0.1"; empty when that is this host itself by way of its loopback.
std::string address_of_peer(const Socket& socket);

// Blocks until the file can be read (POLLIN) or written (POLLOUT); false at the deadline.
bool wait_until_ready(int file, short events, Deadline deadline);

// All bytes, or what kept them from going: null when nothing did, else "has hung up" or "does not answer".
const char* send_all(const Socket& socket, std::span<const std::byte> data, Deadline deadline);
const char* receive_all(const Socket& socket, std::span<std::byte> data, Deadline deadline);

}  // namespace convoy::tcp
