// How processes that were started one by one become the ranks of a job, without MPI: all know the address and port of
// rank 0, and meet there.
//
//   tcp::Session session({.rank = 1, .size = 4, .address = "hostA", .port = 29500});
//   std::unique_ptr<Transport> transport = session.open_transport();
//
// Rank 0 admits the others, and gives them a token by which they know each other from strangers and from other jobs.
// Nothing is encrypted, and whoever can reach the port can join: for networks that are trusted.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "parallel/lost_rank.h"
#include "parallel/socket.h"
#include "parallel/transport.h"

namespace convoy::tcp {

struct Greeting;
struct Peer;

struct MeetingPoint {
  int rank = 0, size = 1;
  std::string address = {};  // of rank 0: a name, IPv4 or IPv6
  int port = 0;              // on rank 0 alone, 0 chooses a free one
  // Until all have to have come, and until it is told who has not.
  std::chrono::milliseconds patience = std::chrono::seconds(60), late = std::chrono::seconds(10);
  std::function<void(int port)> on_listening = {};          // called by rank 0, with the port it listens at
  std::function<void(const std::string&)> on_waiting = {};  // called once, when somebody is late, with who it is
};

class Session {
 public:
  // Blocks until all ranks have come. Throws Error(peer) when some have not, or do not belong together, Error(usage) when
  // the port is in use or the address is none.
  explicit Session(MeetingPoint point);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  int rank() const { return point_.rank; }
  int size() const { return point_.size; }

  // A transport among all ranks, apart from every other; it may outlive the session. Collective: returns when all
  // are connected. Throws Error(peer).
  std::unique_ptr<Transport> open_transport();

  // The rank that any transport of this session has lost, "rank 2 on hostB has left the job"; empty when none.
  std::string loss() const;

 private:
  struct Place;
  void admit();  // rank 0
  void join();   // the others
  void connect_all(std::vector<Peer>& peers, const Greeting& greeting);
  std::vector<Place> all_places(int my_port, Deadline deadline);
  std::string where() const;
  [[noreturn]] void lost_in_between(size_t rank, std::string_view how) const;

  MeetingPoint point_;
  uint64_t token_ = 0;              // of the job
  std::vector<std::string> hosts_;  // by rank
  std::vector<Socket> others_;      // rank 0: by rank, connected to each; others: one, to rank 0
  std::shared_ptr<LostRanks> lost_ = std::make_shared<LostRanks>();
  int transports_ = 0;
};

}  // namespace convoy::tcp
