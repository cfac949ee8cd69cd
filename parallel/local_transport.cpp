#include "parallel/local_transport.h"

#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>

#include "parallel/eager_wait.h"
#include "tensor/error.h"

namespace convoy {
namespace {

// The way from one rank to one other. Sends and receives are numbered; those of the same number make a message.
class Link {
 public:
  int64_t post(std::span<const std::byte> data) {
    const std::lock_guard lock(mutex_);
    posted_[sends_] = data;
    changed_.notify_all();
    return sends_++;
  }

  int64_t next_receive() {
    const std::lock_guard lock(mutex_);
    return receives_++;
  }

  void wait_until_taken(int64_t number) {
    std::unique_lock lock(mutex_);
    wait_eagerly(lock, changed_, [&] { return aborted_ || !posted_.contains(number); });
    check_not_aborted();
  }

  // The sender's memory may go as soon as its message is no longer posted: so the copy is made under the lock.
  void take(int64_t number, std::span<std::byte> into) {
    std::unique_lock lock(mutex_);
    wait_eagerly(lock, changed_, [&] { return aborted_ || posted_.contains(number); });
    check_not_aborted();
    const std::span<const std::byte> data = posted_.at(number);
    if (data.size() != into.size())
      fail(ErrorKind::internal, "local transport: {} bytes sent, {} expected", data.size(), into.size());
    if (!data.empty()) std::memcpy(into.data(), data.data(), data.size());
    posted_.erase(number);
    changed_.notify_all();
  }

  void withdraw(int64_t number) {
    const std::lock_guard lock(mutex_);
    posted_.erase(number);
  }

  void abort() {
    const std::lock_guard lock(mutex_);
    aborted_ = true;
    changed_.notify_all();
  }

  void check_alive() {
    const std::lock_guard lock(mutex_);
    check_not_aborted();
  }

 private:
  void check_not_aborted() const {
    if (aborted_) fail(ErrorKind::peer, "local transport: another rank has given up");
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int64_t, std::span<const std::byte>> posted_;  // sent and not yet taken, by number
  int64_t sends_ = 0, receives_ = 0;
  bool aborted_ = false;
};

struct Group {
  explicit Group(int size) : size(size), links(static_cast<size_t>(size) * static_cast<size_t>(size)) {}
  Link& link(int from, int to) {
    return links[static_cast<size_t>(from) * static_cast<size_t>(size) + static_cast<size_t>(to)];
  }
  const int size;
  std::vector<Link> links;  // [from][to]
};

class LocalSend : public Message {
 public:
  LocalSend(std::shared_ptr<Group> group, Link& link, std::span<const std::byte> data)
      : group_(std::move(group)), link_(link), number_(link.post(data)) {}
  ~LocalSend() override { link_.withdraw(number_); }
  void wait() override { link_.wait_until_taken(number_); }

 private:
  std::shared_ptr<Group> group_;
  Link& link_;
  int64_t number_;
};

class LocalReceive : public Message {
 public:
  LocalReceive(std::shared_ptr<Group> group, Link& link, std::span<std::byte> into)
      : group_(std::move(group)), link_(link), number_(link.next_receive()), into_(into) {}
  void wait() override { link_.take(number_, into_); }

 private:
  std::shared_ptr<Group> group_;
  Link& link_;
  int64_t number_;
  std::span<std::byte> into_;
};

class LocalTransport : public Transport {
 public:
  LocalTransport(std::shared_ptr<Group> group, int rank) : group_(std::move(group)), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return group_->size; }

  std::unique_ptr<Message> send(int to, std::span<const std::byte> data) override {
    return std::make_unique<LocalSend>(group_, group_->link(rank_, to), data);
  }
  std::unique_ptr<Message> receive(int from, std::span<std::byte> data) override {
    return std::make_unique<LocalReceive>(group_, group_->link(from, rank_), data);
  }
  void abort() override {
    for (Link& link : group_->links) link.abort();
  }
  void check_alive() override { group_->link(rank_, rank_).check_alive(); }

 private:
  std::shared_ptr<Group> group_;
  int rank_;
};

}  // namespace

std::vector<std::unique_ptr<Transport>> make_local_group(int size) {
  CHECK(size >= 1, "local transport: a group of {}, at least 1 is needed", size);
  const auto group = std::make_shared<Group>(size);
  std::vector<std::unique_ptr<Transport>> ends;
  for (int rank = 0; rank < size; ++rank) ends.push_back(std::make_unique<LocalTransport>(group, rank));
  return ends;
}

}  // namespace convoy
