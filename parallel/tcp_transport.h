// A transport among processes over TCP, without MPI: a connection from every rank to every other, and one thread that serves them all.
//
// A rank that dies is noticed by the end of its connections; one that is stopped, because its thread sends a heartbeat once
// a second and nothing has come for 6 s. Whoever notices tells all others before it goes itself, so every rank names the
// one that was lost first: "rank 2 on hostB has left the job".
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "parallel/lost_rank.h"
#include "parallel/socket.h"
#include "parallel/transport.h"

namespace convoy::tcp {

struct Peer {
  std::string host;
  Socket socket;  // connected to it; none for this rank itself
};

// What is told of a lost rank to the user of rank `me`.
std::string text_of(const LostRank& lost, const std::string& host, int me);

// peers [size], by rank. `lost` is shared by all transports of this process in a job. A message has to end before its
// transport. Destroying a transport sends what was to be sent, and then tells the others that this end was meant.
std::unique_ptr<Transport> make_transport(int rank, std::vector<Peer> peers, std::shared_ptr<LostRanks> lost);

}  // namespace convoy::tcp
