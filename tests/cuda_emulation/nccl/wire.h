// What a rank and the hub of its communicator say to each other: messages over a socket of this machine. Nothing here
// waits but connect_to().
#pragma once

#include <nccl.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace convoy::emulation::nccl {

using Bytes = std::vector<std::byte>;

enum class Kind : uint32_t {
  hello,    // of a rank: who it is
  welcome,  // to all ranks, when all are there
  refusal,  // to all ranks, when they do not fit together; the payload says why
  all_reduce,
  broadcast,
  all_gather,
  reduce_scatter,
  send,
  receive,
};

// Its bytes are sent as they are. An answer to an operation repeats the header of the request.
struct Header {
  Kind kind = Kind::hello;
  ncclDataType_t type = ncclInt8;
  ncclRedOp_t reduction = ncclSum;
  ncclResult_t result = ncclSuccess;                     // of a refusal
  int32_t peer = 0;                                      // broadcast: the root; send and receive: the other rank
  int32_t rank = 0, ranks = 0, process = 0, device = 0;  // hello
  uint32_t part = 0;                                     // which of the operation's
  uint64_t operation = 0;                                // the rank's own number for it
  uint64_t collective = 0;                               // how many collectives the rank has asked for before this one
  uint64_t count = 0;
  uint64_t payload_bytes = 0;
};

struct Message {
  Header header;
  std::shared_ptr<const Bytes> payload;  // null: empty
};

// One end of a socket. Not thread-safe.
class Connection {
 public:
  explicit Connection(int socket);  // owns it
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int socket() const { return socket_; }
  void add(Message message);  // behind what is to be sent
  bool wants_to_send() const { return !outgoing_.empty(); }
  // As much as goes without waiting; false when the other end is gone.
  bool send_some();
  bool receive_some(std::vector<Message>& received);

 private:
  int socket_;
  std::deque<Message> outgoing_;
  size_t sent_ = 0;  // bytes of the first one
  Header header_;    // of the message that is coming in
  std::shared_ptr<Bytes> payload_;
  size_t received_ = 0;
};

// Sockets at an address that exists nowhere but in the kernel; -1 where that fails.
int listen_at(const std::string& address);
int connect_to(const std::string& address);

}  // namespace convoy::emulation::nccl
