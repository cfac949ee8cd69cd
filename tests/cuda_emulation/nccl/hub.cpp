#include "tests/cuda_emulation/nccl/hub.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <map>
#include <random>
#include <thread>

#include "tests/cuda_emulation/nccl/reduction.h"
#include "tests/cuda_emulation/nccl/wire.h"

namespace convoy::emulation::nccl {
namespace {

constexpr const char* kName = "convoy-emulated-nccl-";

// "all_reduce of 5 float32 (sum)"
std::string describe(const Header& request) {
  const std::string what = fmt::format("of {} {}", request.count, name_of(request.type));
  switch (request.kind) {
    case Kind::all_reduce:
      return fmt::format("all_reduce {} ({})", what, name_of(request.reduction));
    case Kind::reduce_scatter:
      return fmt::format("reduce_scatter {} ({})", what, name_of(request.reduction));
    case Kind::broadcast:
      return fmt::format("broadcast {} from rank {}", what, request.peer);
    case Kind::all_gather:
      return "all_gather " + what;
    default:
      return (request.kind == Kind::send ? "send " : "receive ") + what;
  }
}

bool fit(const Header& a, const Header& b) {
  return a.kind == b.kind && a.type == b.type && a.count == b.count && a.reduction == b.reduction && a.peer == b.peer;
}

class Hub {
 public:
  explicit Hub(int listener) : listener_(listener) {}
  void run();

 private:
  struct Member {
    Connection connection;
    Header hello = {};
    bool greeted = false;

    explicit Member(int socket) : connection(socket) {}
  };
  struct Collective {
    std::vector<Message> requests;  // by rank; kind hello: not there yet
    int first = 0, there = 0;
  };
  using Way = std::pair<int, int>;  // from, to

  void hear(Member& member, const Message& message);
  void greet(Member& member, const Header& hello);
  void hear_collective(int rank, const Message& request);
  void perform(const Collective& collective);
  void hear_half(int rank, const Message& request);
  void answer(int rank, const Header& request, std::shared_ptr<const Bytes> payload);
  void refuse(const std::string& why);
  void tell_refusal(Member& member);

  int listener_;
  std::list<Member> members_;
  size_t ranks_ = 0;
  std::string refused_;  // why, once it has happened
  std::map<uint64_t, Collective> collectives_;
  std::map<Way, std::deque<Message>> sends_, receives_;
};

void Hub::run() {
  for (bool anyone = false; !anyone || !members_.empty();) {
    std::vector<pollfd> watched = {{listener_, POLLIN, 0}};
    for (const Member& member : members_) {
      const short events = member.connection.wants_to_send() ? POLLIN | POLLOUT : POLLIN;
      watched.push_back({member.connection.socket(), events, 0});
    }
    if (poll(watched.data(), watched.size(), -1) < 0) continue;
    size_t i = 1;
    for (auto member = members_.begin(); member != members_.end(); ++i) {
      std::vector<Message> received;
      bool here = true;
      if ((watched[i].revents & ~POLLOUT) != 0) here = member->connection.receive_some(received);
      for (const Message& message : received) hear(*member, message);
      if (here) here = member->connection.send_some();
      member = here ? std::next(member) : members_.erase(member);
    }
    if (watched[0].revents == 0) continue;
    if (const int socket = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC); socket >= 0) {
      members_.emplace_back(socket);
      anyone = true;
    }
  }
  close(listener_);
}

void Hub::hear(Member& member, const Message& message) {
  if (message.header.kind == Kind::hello) {
    greet(member, message.header);
  } else if (!refused_.empty() || !member.greeted) {
    return;
  } else if (message.header.kind == Kind::send || message.header.kind == Kind::receive) {
    hear_half(member.hello.rank, message);
  } else {
    hear_collective(member.hello.rank, message);
  }
}

void Hub::greet(Member& member, const Header& hello) {
  if (!refused_.empty()) return tell_refusal(member);
  std::string wrong;
  int there = 1;
  for (const Member& other : members_) {
    if (!other.greeted) continue;
    ++there;
    const Header& theirs = other.hello;
    if (theirs.ranks != hello.ranks) {
      wrong = fmt::format("rank {} is one of {} ranks, rank {} one of {}", theirs.rank, theirs.ranks, hello.rank,
                          hello.ranks);
    } else if (theirs.rank == hello.rank) {
      wrong = fmt::format("there are two ranks {}", hello.rank);
    } else if (theirs.process == hello.process && theirs.device == hello.device) {
      wrong = fmt::format("ranks {} and {} are both on device {}", theirs.rank, hello.rank, hello.device);
    }
  }
  member.hello = hello;
  member.greeted = true;
  ranks_ = static_cast<size_t>(hello.ranks);
  if (!wrong.empty()) return refuse(wrong);
  if (there < hello.ranks) return;
  for (Member& each : members_) each.connection.add({{.kind = Kind::welcome}, nullptr});
}

void Hub::hear_collective(int rank, const Message& request) {
  const auto [found, is_new] = collectives_.try_emplace(request.header.collective);
  Collective& collective = found->second;
  if (is_new) {
    collective.first = rank;
    collective.requests.resize(ranks_);
  }
  collective.requests[static_cast<size_t>(rank)] = request;
  const Header& first = collective.requests[static_cast<size_t>(collective.first)].header;
  if (!fit(first, request.header))
    return refuse(fmt::format("collective {}: rank {} calls {}, rank {} calls {}", request.header.collective,
                              collective.first, describe(first), rank, describe(request.header)));
  if (++collective.there < static_cast<int>(ranks_)) return;
  perform(collective);
  collectives_.erase(found);
}

void Hub::perform(const Collective& collective) {
  const Header& what = collective.requests.front().header;
  std::vector<const Bytes*> inputs;
  for (const Message& request : collective.requests) inputs.push_back(request.payload.get());
  std::shared_ptr<const Bytes> result;
  switch (what.kind) {
    case Kind::all_reduce:
      result = std::make_shared<Bytes>(reduce(what.type, what.reduction, what.count, inputs));
      break;
    case Kind::reduce_scatter:
      result = std::make_shared<Bytes>(reduce(what.type, what.reduction, ranks_ * what.count, inputs));
      break;
    case Kind::broadcast:
      result = collective.requests[static_cast<size_t>(what.peer)].payload;
      break;
    default: {
      const auto all = std::make_shared<Bytes>();
      for (const Bytes* input : inputs) all->insert(all->end(), input->begin(), input->end());
      result = all;
    }
  }
  for (size_t rank = 0; rank < ranks_; ++rank) {
    std::shared_ptr<const Bytes> theirs = result;
    if (what.kind == Kind::reduce_scatter) {
      const auto bytes = static_cast<ptrdiff_t>(what.count * bytes_of(what.type));
      const auto begin = result->begin() + static_cast<ptrdiff_t>(rank) * bytes;
      theirs = std::make_shared<Bytes>(begin, begin + bytes);
    }
    answer(static_cast<int>(rank), collective.requests[rank].header, std::move(theirs));
  }
}

void Hub::hear_half(int rank, const Message& request) {
  const int peer = request.header.peer;
  const bool sends = request.header.kind == Kind::send;
  const Way way = sends ? Way(rank, peer) : Way(peer, rank);
  (sends ? sends_ : receives_)[way].push_back(request);
  std::deque<Message>&sent = sends_[way], &wanted = receives_[way];
  if (sent.empty() || wanted.empty()) return;
  const Header out = sent.front().header, in = wanted.front().header;
  if (out.count != in.count || out.type != in.type)
    return refuse(
        fmt::format("rank {} calls {} to rank {}, which calls {}", way.first, describe(out), way.second, describe(in)));
  answer(way.second, in, sent.front().payload);
  answer(way.first, out, nullptr);
  sent.pop_front();
  wanted.pop_front();
}

void Hub::answer(int rank, const Header& request, std::shared_ptr<const Bytes> payload) {
  for (Member& member : members_) {
    if (member.greeted && member.hello.rank == rank) member.connection.add({request, std::move(payload)});
  }
}

void Hub::refuse(const std::string& why) {
  std::fprintf(stderr, "cuda emulation: nccl: %s\n", why.c_str());
  refused_ = why;
  for (Member& member : members_) tell_refusal(member);
}

void Hub::tell_refusal(Member& member) {
  const auto* const text = reinterpret_cast<const std::byte*>(refused_.data());
  member.connection.add(
      {{.kind = Kind::refusal, .result = ncclInvalidUsage}, std::make_shared<Bytes>(text, text + refused_.size())});
}

}  // namespace

bool names_hub(const std::string& address) { return address.starts_with(kName); }

std::string start_hub() {
  std::random_device random;
  const std::string address = fmt::format("{}{:08x}{:08x}{:08x}{:08x}", kName, random(), random(), random(), random());
  const int listener = listen_at(address);
  if (listener < 0) return "";
  std::thread([listener] { Hub(listener).run(); }).detach();
  return address;
}

}  // namespace convoy::emulation::nccl
