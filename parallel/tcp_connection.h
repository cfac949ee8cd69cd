// One rank's end of a connection to one other: messages in their order, and between them the short frames by which the
// two ends understand each other. Every frame begins with 8 bytes, its kind and a number:
//
//   message n     n bytes follow
//   ready n       the other end has memory for its next message of more than kEager bytes, which has n
//   announce n    such a message waits for `ready`
//   heartbeat     the process lives
//   lost r        rank r is gone or silent; the job cannot go on
//   goodbye       no message follows: this end has ended in good order
//   farewell      the other end's goodbye has been read, and so has all before it
//
// A message of up to kEager bytes is sent at once, and kept by the receiver until it is asked for. A longer one is sent
// when it is awaited, straight from the sender's memory into the receiver's. So the receiver reads all that comes, always:
// heartbeats never queue behind a message that nobody wants yet.
//
// Not thread-safe: the transport's mutex guards it.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "parallel/lost_rank.h"
#include "parallel/socket.h"

namespace convoy::tcp {

// Messages on their way; shared with who waits for them. The memory is not touched any more once `done`, or forgotten.
struct Outgoing {
  std::span<const std::byte> data;
  bool done = false;
};
struct Incoming {
  std::span<std::byte> data;
  bool done = false;
};

class Connection {
 public:
  static constexpr size_t kEager = 64 * 1024;  // bytes

  explicit Connection(Socket socket) : socket_(std::move(socket)) {}

  int file() const { return socket_.file(); }

  // Both return at once. Like read() and write() they throw Error(internal) when two matching sizes differ.
  void send(std::shared_ptr<Outgoing> message);
  void receive(std::shared_ptr<Incoming> message);

  void send_heartbeat() { control_.push_back(header_of(kHeartbeatFrame, 0)); }
  void say_goodbye() { closing_ = true; }  // after all that is to be sent
  // All messages are forgotten, but for the rest of one that is half sent, which is copied.
  void forget_messages();
  void tell_lost(const LostRank& lost);
  void shut_down();  // at once, in both directions

  // As much as the socket gives and takes without waiting.
  void read();
  void write();
  bool wants_to_write() const;

  // What is known of the other end.
  bool ended() const { return ended_; }
  bool said_goodbye() const { return goodbye_; }
  bool has_read_all() const { return deaf_ || ended_ || farewell_; }  // or never will
  bool awaited() const;                                               // messages to it or from it are not done
  const std::optional<LostRank>& told_lost() const { return told_lost_; }
  Clock::time_point heard() const { return heard_; }  // its last byte
  Clock::time_point spoke() const { return spoke_; }  // our last byte
  void excuse_silence(Clock::time_point until) { heard_ = until; }

 private:
  using Header = std::array<std::byte, 8>;
  enum Kind : uint8_t { kMessage = 1, kReady, kAnnounce, kHeartbeatFrame, kLost, kGoodbye, kFarewell };
  static Header header_of(Kind kind, uint64_t number);

  // The frame that is being written.
  struct Writing {
    Header header;
    std::span<const std::byte> payload = {};
    std::shared_ptr<Outgoing> message = nullptr;  // done when all is written
    std::vector<std::byte> copy = {};
    size_t written = 0;  // of header and payload
  };

  bool can_send_message() const;
  bool start_next_frame();
  void begin_frame();
  void end_message();
  void deliver(Incoming& message, std::vector<std::byte> bytes);

  Socket socket_;
  Clock::time_point heard_ = Clock::now(), spoke_ = heard_;

  std::optional<Writing> writing_;
  std::deque<Header> control_;                      // frames without payload, before all messages
  std::deque<std::shared_ptr<Outgoing>> messages_;  // not yet begun
  std::deque<uint64_t> ready_;                      // what the other end has memory for
  bool announced_ = false;                          // the front of messages_
  bool closing_ = false, goodbye_sent_ = false, deaf_ = false;

  Header header_{};  // of the frame that is being read
  size_t header_read_ = 0;
  std::span<std::byte> left_;                       // of its payload
  std::vector<std::byte> buffer_;                   // for the payload of a message that nobody awaits
  std::shared_ptr<Incoming> reading_;               // else: whose it is
  std::deque<std::shared_ptr<Incoming>> receives_;  // that have not begun
  std::deque<std::vector<std::byte>> kept_;         // arrived, not yet asked for
  std::optional<uint64_t> awaiting_ready_;          // bytes of a message that the other end has announced
  bool forgetting_ = false, ended_ = false, goodbye_ = false, farewell_ = false;
  std::optional<LostRank> told_lost_;
};

}  // namespace convoy::tcp
