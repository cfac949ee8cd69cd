#include "parallel/tcp_transport.h"

#include <poll.h>

#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "parallel/heartbeat.h"
#include "parallel/tcp_connection.h"
#include "tensor/error.h"

namespace convoy::tcp {
namespace {

// How often the thread looks at clocks; how long it waits at the end for others to have read all.
constexpr std::chrono::milliseconds kTick{200}, kFarewell{3000};

class TcpTransport : public Transport {
 public:
  TcpTransport(int rank, std::vector<Peer> peers, std::shared_ptr<LostRanks> lost)
      : rank_(rank), lost_(std::move(lost)) {
    for (Peer& peer : peers) {
      hosts_.push_back(std::move(peer.host));
      connections_.push_back(peer.socket ? std::make_unique<Connection>(std::move(peer.socket)) : nullptr);
    }
    thread_ = std::thread([this] { serve(); });
    lost_->hang_up(bell_);
  }

  ~TcpTransport() override {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
      farewell_ends_ = Clock::now() + kFarewell;
      for_each([](Connection& each) { each.say_goodbye(); });
    }
    bell_.ring();
    thread_.join();
    lost_->take_down(bell_);
  }
  TcpTransport(const TcpTransport&) = delete;
  TcpTransport& operator=(const TcpTransport&) = delete;

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(connections_.size()); }

  std::unique_ptr<Message> send(int to, std::span<const std::byte> data) override {
    auto message = std::make_shared<Outgoing>(Outgoing{.data = data});
    hand_over(to, [&](Connection& connection) { connection.send(message); });
    return std::make_unique<TcpMessage<Outgoing>>(*this, std::move(message));
  }

  std::unique_ptr<Message> receive(int from, std::span<std::byte> data) override {
    auto message = std::make_shared<Incoming>(Incoming{.data = data});
    hand_over(from, [&](Connection& connection) { connection.receive(message); });
    return std::make_unique<TcpMessage<Incoming>>(*this, std::move(message));
  }

  void abort() override {
    const std::lock_guard lock(mutex_);
    give_up("this rank has given up");
  }

  void check_alive() override {
    const std::lock_guard lock(mutex_);
    if (failed_) throw Error(*failed_);
  }

 private:
  template <class State>
  class TcpMessage : public Message {
   public:
    TcpMessage(TcpTransport& transport, std::shared_ptr<State> state)
        : transport_(transport), state_(std::move(state)) {}
    ~TcpMessage() override {
      const std::lock_guard lock(transport_.mutex_);
      if (!state_->done) transport_.give_up("this rank has given up");  // for the memory goes away
    }
    void wait() override {
      std::unique_lock lock(transport_.mutex_);
      transport_.changed_.wait(lock, [&] { return state_->done || transport_.failed_; });
      if (!state_->done) throw Error(*transport_.failed_);
    }

   private:
    TcpTransport& transport_;
    std::shared_ptr<State> state_;
  };

  template <class Work>
  void for_each(Work&& work) {
    for (const auto& connection : connections_) {
      if (connection != nullptr) work(*connection);
    }
  }

  // Short messages leave from the calling thread, which saves the way through the other one.
  template <class Give>
  void hand_over(int peer, Give&& give) {
    const std::lock_guard lock(mutex_);
    Connection* const connection = connections_.at(static_cast<size_t>(peer)).get();
    CHECK(connection != nullptr, "tcp: a message from rank {} to itself", rank_);
    if (failed_) return;
    try {
      give(*connection);
      connection->write();
    } catch (const Error& error) {
      give_up(error.what(), error.kind());
    }
    if (connection->wants_to_write() || connection->said_goodbye() || connection->ended()) bell_.ring();
  }

  // --- ends; all with the mutex locked --------------------------------------------------------------------------------

  // Nothing is read from or written to users' memory after this.
  void fail_all(ErrorKind kind, const std::string& message) {
    failed_.emplace(kind, message);
    for_each([](Connection& each) { each.forget_messages(); });
    changed_.notify_all();
  }

  void give_up(const std::string& message, ErrorKind kind = ErrorKind::peer) {
    if (failed_) return;
    if (const std::optional<LostRank> lost = lost_->first()) {  // known to another transport already
      end_by(*lost);
      return bell_.ring();
    }
    fail_all(kind, message);
    for_each([](Connection& each) { each.shut_down(); });
  }

  void end_by(const LostRank& lost) {
    fail_all(ErrorKind::peer, text_of(lost, hosts_.at(static_cast<size_t>(lost.rank)), rank_));
    for_each([&](Connection& each) { each.tell_lost(lost); });
  }

  // Reports what others have told before what is seen here: they may have gone because of it.
  void look_for_lost_ranks(Clock::time_point now) {
    for_each([&](Connection& each) {
      if (!each.told_lost()) return;
      CHECK(each.told_lost()->rank >= 0 && each.told_lost()->rank < size(), "tcp: rank {} is told to be lost, of {}",
            each.told_lost()->rank, size());
      lost_->tell(*each.told_lost());
    });
    for (size_t peer = 0; peer < connections_.size(); ++peer) {
      if (connections_[peer] == nullptr) continue;
      const Connection& each = *connections_[peer];
      const int rank = static_cast<int>(peer);
      if (each.ended() && (!each.said_goodbye() || each.awaited()))
        lost_->tell({.rank = rank, .how = LostRank::How::left});
      if (!each.ended() && !each.said_goodbye() && now - each.heard() > kSilence)
        lost_->tell({.rank = rank, .how = LostRank::How::silent});
    }
  }

  // --- the thread -----------------------------------------------------------------------------------------------------

  void serve() {
    std::unique_lock lock(mutex_);
    Clock::time_point last_turn = Clock::now();
    while (!(closing_ && (all_is_read() || Clock::now() > farewell_ends_))) {
      wait_for_sockets(lock);
      const Clock::time_point now = Clock::now();
      if (now - last_turn > kSilence / 2)  // this process was stopped itself, and is in no position to judge
        for_each([&](Connection& each) { each.excuse_silence(now); });
      last_turn = now;
      try {
        for (const pollfd& ready : files_) {
          if (ready.revents != 0) serve_file(ready.fd);
        }
        if (!closing_ && !failed_) keep_alive(now);
        for_each([](Connection& each) { each.write(); });
      } catch (const Error& error) {
        give_up(error.what(), error.kind());
      } catch (const std::exception& error) {
        give_up(error.what(), ErrorKind::internal);
      }
      changed_.notify_all();
    }
  }

  void wait_for_sockets(std::unique_lock<std::mutex>& lock) {
    files_.assign(1, {bell_.file(), POLLIN, 0});
    for_each([&](Connection& each) {
      const short write = each.wants_to_write() ? POLLOUT : 0;
      if (!each.ended()) files_.push_back({each.file(), static_cast<short>(POLLIN | write), 0});
    });
    lock.unlock();
    poll(files_.data(), files_.size(), static_cast<int>(kTick.count()));
    lock.lock();
  }

  void serve_file(int file) {
    if (file == bell_.file()) bell_.silence();
    for_each([&](Connection& each) {
      if (each.file() == file) each.read();
    });
  }

  void keep_alive(Clock::time_point now) {
    look_for_lost_ranks(now);
    if (const std::optional<LostRank> lost = lost_->first()) return end_by(*lost);
    for_each([&](Connection& each) {
      if (now - each.spoke() > kHeartbeat - kTick && !each.wants_to_write()) each.send_heartbeat();
    });
  }

  // A lost rank is not waited for.
  bool all_is_read() {
    const int lost = lost_->first().value_or(LostRank{}).rank;
    for (size_t peer = 0; peer < connections_.size(); ++peer) {
      if (connections_[peer] == nullptr || static_cast<int>(peer) == lost) continue;
      if (!connections_[peer]->has_read_all()) return false;
    }
    return true;
  }

  const int rank_;
  std::vector<std::string> hosts_;  // by rank, as below
  const std::shared_ptr<LostRanks> lost_;
  Doorbell bell_;
  std::vector<pollfd> files_;  // of the thread alone

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Connection>> connections_;  // guarded by mutex_, as all below
  std::optional<Error> failed_;
  bool closing_ = false;
  Clock::time_point farewell_ends_;
  std::thread thread_;
};

}  // namespace

std::string text_of(const LostRank& lost, const std::string& host, int me) {
  const bool silent = lost.how == LostRank::How::silent;
  if (lost.rank == me)
    return fmt::format("the other ranks have given this one up, which {}",
                       silent ? "had shown no sign of life" : "could not be reached any more");
  const std::string name = fmt::format("rank {} on {}", lost.rank, host);
  if (silent) return fmt::format("{} has shown no sign of life for {} s (is it stopped?)", name, kSilence.count());
  return name + " has left the job";
}

std::unique_ptr<Transport> make_transport(int rank, std::vector<Peer> peers, std::shared_ptr<LostRanks> lost) {
  return std::make_unique<TcpTransport>(rank, std::move(peers), std::move(lost));
}

}  // namespace convoy::tcp
