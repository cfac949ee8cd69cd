// What the two ends of a new connection tell each other first, and how those are received who come to a listening socket.
// Numbers are those of x86-64, the only processor this program runs on.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "parallel/socket.h"

namespace convoy::tcp {

struct Greeting {
  static constexpr uint64_t kMagic = 0x31594F564E4F43;  // "CONVOY1"
  static constexpr uint32_t kVersion = 1;               // of all that is said on these connections

  uint64_t magic = kMagic;
  uint32_t version = kVersion;
  int32_t rank = 0, size = 0;
  int32_t transport = kNone;  // which of the job's this connection is for
  uint64_t token = 0;         // the job's; 0 from those who are to get it
  char host[64] = {};

  static constexpr int32_t kNone = -1;
};

// Rank 0's answer.
struct Verdict {
  uint64_t magic = Greeting::kMagic;
  uint64_t token = 0;
  char refusal[496] = {};  // empty: welcome
};

// Copies as much of `text` as fits.
void put_text(std::span<char> into, const std::string& text);
std::string get_text(std::span<const char> bytes);  // up to the first 0, or all

// Somebody who has connected.
struct Guest {
  Socket socket;
  Greeting greeting;
  size_t read = 0;  // bytes of the greeting; all of them: has been found welcome
  bool has_greeted() const { return read == sizeof greeting; }
};

struct Reception {
  size_t wanted;                              // guests
  std::function<bool(const Guest&)> welcome;  // what it throws passes; the guest is then among the others
  Deadline deadline;
  bool may_leave;                        // who hangs up after the greeting is forgotten, and may come again
  std::span<const Socket> watched = {};  // ends early when one of these hangs up
};

// Lets guests in until as many as wanted have greeted; false when that has not come about. Who greets with another magic
// number or is not welcome is dropped.
bool receive_guests(const Socket& listener, std::vector<Guest>& guests, const Reception& reception);

bool has_hung_up(const Socket& socket);

}  // namespace convoy::tcp
