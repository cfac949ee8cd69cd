// Transport: messages from one rank of a group to another, all that the algorithms of this folder need. Three of them
// exist: between threads of a process (local_transport.h), between processes by MPI (mpi.h) and by TCP (tcp_transport.h).
//
//   auto sent = transport.send(next, bytes_of(chunk));
//   auto received = transport.receive(previous, bytes_of(staging));
//   received->wait();
//   sent->wait();
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace convoy {

// A message under way. Destroying it without wait() is for the unwinding of an error only.
class Message {
 public:
  virtual ~Message() = default;
  // Blocks until it has been delivered. Throws Error(peer) when the group was aborted.
  virtual void wait() = 0;
};

// One rank's end. Messages from one rank to another arrive in the order in which they were sent, and are matched with the
// receives in theirs. A transport is used by one thread at a time; the transports of one process by any number of threads.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual int rank() const = 0;  // in [0, size())
  virtual int size() const = 0;

  // Both return at once; until wait(), `data` belongs to the message. A receive takes as many bytes as were sent. Neither
  // waits for the other side's call: all ranks may send first and receive then.
  virtual std::unique_ptr<Message> send(int to, std::span<const std::byte> data) = 0;
  virtual std::unique_ptr<Message> receive(int from, std::span<std::byte> data) = 0;

  // Ends the whole group: every wait(), on every rank, throws, or the process ends with exit code 7. From any thread.
  virtual void abort() = 0;

  // Throws the Error(peer) that a wait() would throw, when it is known already that another rank has gone. From any thread.
  virtual void check_alive() {}
};

template <class T>
std::span<std::byte> bytes_of(std::span<T> values) {
  return std::as_writable_bytes(values);
}
template <class T>
std::span<const std::byte> bytes_of(std::span<const T> values) {
  return std::as_bytes(values);
}

}  // namespace convoy
