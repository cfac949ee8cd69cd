#include "parallel/greeting.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace convoy::tcp {
namespace {

// Whether the guest stays.
bool listen_to(Guest& guest, const Reception& reception) {
  if (guest.has_greeted()) return false;  // has hung up
  auto* const bytes = reinterpret_cast<std::byte*>(&guest.greeting);
  const ssize_t count = recv(guest.socket.file(), bytes + guest.read, sizeof guest.greeting - guest.read, 0);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  if (count == 0) return false;
  guest.read += static_cast<size_t>(count);
  return !guest.has_greeted() || (guest.greeting.magic == Greeting::kMagic && reception.welcome(guest));
}

// What happens to a guest is told by the place of its file: behind the listener.
std::vector<pollfd> files_of(const Socket& listener, const std::vector<Guest>& guests, const Reception& reception) {
  std::vector<pollfd> files{{listener.file(), POLLIN, 0}};
  for (const Guest& guest : guests) {
    const bool deaf = guest.has_greeted() && !reception.may_leave;  // a negative file is left out by poll()
    files.push_back({deaf ? -1 : guest.socket.file(), static_cast<short>(guest.has_greeted() ? POLLRDHUP : POLLIN), 0});
  }
  for (const Socket& each : reception.watched) files.push_back({each.file(), POLLRDHUP, 0});
  return files;
}

}  // namespace

void put_text(std::span<char> into, const std::string& text) {
  const size_t length = std::min(text.size(), into.size() - 1);
  std::copy_n(text.begin(), length, into.begin());
  into[length] = 0;
}

std::string get_text(std::span<const char> bytes) { return {bytes.data(), strnlen(bytes.data(), bytes.size())}; }

bool receive_guests(const Socket& listener, std::vector<Guest>& guests, const Reception& reception) {
  const auto present = [&] { return static_cast<size_t>(std::ranges::count_if(guests, &Guest::has_greeted)); };
  while (present() < reception.wanted) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(reception.deadline - Clock::now()).count();
    if (left <= 0) return false;
    std::vector<pollfd> files = files_of(listener, guests, reception);
    if (poll(files.data(), files.size(), static_cast<int>(left)) <= 0) continue;
    for (size_t i = guests.size(); i-- > 0;) {
      if (files[i + 1].revents != 0 && !listen_to(guests[i], reception))
        guests.erase(guests.begin() + static_cast<ptrdiff_t>(i));
    }
    if (std::ranges::any_of(reception.watched, has_hung_up)) return present() >= reception.wanted;
    if (Socket next = accept_from(listener)) guests.push_back({.socket = std::move(next), .greeting = {}});
  }
  return true;
}

bool has_hung_up(const Socket& socket) {
  pollfd file{socket.file(), POLLRDHUP, 0};
  return socket && poll(&file, 1, 0) > 0;
}

}  // namespace convoy::tcp
