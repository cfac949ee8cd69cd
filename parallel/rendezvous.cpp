#include "parallel/rendezvous.h"

#include <algorithm>
#include <random>

#include "parallel/agreement.h"
#include "parallel/greeting.h"
#include "parallel/tcp_transport.h"
#include "tensor/error.h"

namespace convoy::tcp {
namespace {

// For a rank that is there and listens: something is in the way when it cannot be reached in this time.
constexpr std::chrono::seconds kReachable{10};

template <class T>
auto bytes_of_one(T& value) {
  return bytes_of(std::span(&value, 1));
}

uint64_t draw_token() {
  std::random_device draw;
  return uint64_t{draw()} << 32 | draw() | 1;
}

// "rank 3 has", "ranks 1, 2 have"; of many the first ones.
std::string missing(const std::vector<std::string>& hosts) {
  constexpr size_t kNamed = 10;
  std::vector<size_t> ranks;
  for (size_t rank = 0; rank < hosts.size(); ++rank) {
    if (hosts[rank].empty()) ranks.push_back(rank);
  }
  const size_t named = std::min(ranks.size(), kNamed);
  return fmt::format("rank{} {}{} ha{}", ranks.size() == 1 ? "" : "s",
                     fmt::join(ranks.begin(), ranks.begin() + static_cast<ptrdiff_t>(named), ", "),
                     named < ranks.size() ? fmt::format(" and {} more", ranks.size() - named) : "",
                     ranks.size() == 1 ? "s" : "ve");
}

std::string seconds_text(std::chrono::milliseconds time) {
  return fmt::format("{} s", std::chrono::duration<double>(time).count());
}

}  // namespace

// Where a rank can be reached for one transport.
struct Session::Place {
  int32_t port = 0;
  char address[64] = {};  // empty: the same as rank 0's, however that is reached
  char host[64] = {};
};

Session::Session(MeetingPoint point) : point_(std::move(point)), hosts_(static_cast<size_t>(point_.size)) {
  hosts_[static_cast<size_t>(point_.rank)] = host_name();
  if (point_.size == 1) return;
  point_.rank == 0 ? admit() : join();
}

std::string Session::where() const { return fmt::format("rendezvous at {}:{}", point_.address, point_.port); }

void Session::admit() {
  check_host(point_.address, point_.port);  // which the others would look up in vain
  const Socket listener = listen_on(point_.port);
  point_.port = port_of(listener);
  if (point_.on_listening) point_.on_listening(point_.port);
  const auto ranks = static_cast<size_t>(point_.size);
  std::vector<Guest> guests;
  Verdict verdict;
  const auto welcome = [&](const Guest& guest) {
    const Greeting& greeting = guest.greeting;
    const std::string name = fmt::format("rank {} on {}", greeting.rank, get_text(greeting.host));
    if (greeting.version != Greeting::kVersion)
      fail(ErrorKind::peer, "{}: {} is of another version of this program; start all ranks with the same build",
           where(), name);
    if (greeting.size != point_.size)
      fail(ErrorKind::peer, "{}: {} has WORLD_SIZE {}, rank 0 on {} has {}; start all ranks alike", where(), name,
           greeting.size, hosts_[0], point_.size);
    if (greeting.rank <= 0 || greeting.rank >= point_.size)
      fail(ErrorKind::peer, "{}: {} in a job of {} ranks; start each process with a RANK of its own", where(), name,
           point_.size);
    for (const Guest& other : guests) {
      if (&other != &guest && other.has_greeted() && other.greeting.rank == greeting.rank)
        fail(ErrorKind::peer, "{}: rank {} came twice, from {} and {}; start each process with a RANK of its own",
             where(), greeting.rank, get_text(other.greeting.host), get_text(greeting.host));
    }
    return true;
  };
  const auto answer_all = [&] {
    for (const Guest& guest : guests) {
      if (guest.has_greeted()) send_all(guest.socket, bytes_of_one(verdict), Clock::now() + std::chrono::seconds(1));
    }
  };
  const auto receive_until = [&](Deadline deadline) {
    const bool all = receive_guests(listener, guests,
                                    {.wanted = ranks - 1, .welcome = welcome, .deadline = deadline, .may_leave = true});
    for (const Guest& guest : guests) {
      if (guest.has_greeted()) hosts_[static_cast<size_t>(guest.greeting.rank)] = get_text(guest.greeting.host);
    }
    return all;
  };
  const Deadline deadline = Clock::now() + point_.patience;
  try {
    bool all = receive_until(std::min(deadline, Clock::now() + point_.late));
    if (!all && Clock::now() < deadline) {
      if (point_.on_waiting)
        point_.on_waiting(fmt::format("{}: {} not come yet; waiting up to {}", where(), missing(hosts_),
                                      seconds_text(point_.patience)));
      all = receive_until(deadline);
    }
    if (!all)
      fail(ErrorKind::peer,
           "{}: {} not come within {}; start all ranks with the same MASTER_ADDR and MASTER_PORT, correct WORLD_SIZE, "
           "or "
           "see what the missing ones have said",
           where(), missing(hosts_), seconds_text(point_.patience));
  } catch (const Error& error) {
    put_text(verdict.refusal, error.what());
    answer_all();
    throw;
  }
  token_ = verdict.token = draw_token();
  answer_all();
  others_.resize(ranks);
  for (Guest& guest : guests) {
    if (guest.has_greeted()) others_[static_cast<size_t>(guest.greeting.rank)] = std::move(guest.socket);
  }
}

void Session::join() {
  constexpr std::chrono::seconds kMore{5};  // for the verdict to arrive of those who were not there in time
  std::string reason;
  const Deadline last = Clock::now() + point_.patience;
  others_.push_back(connect_to(point_.address, point_.port, std::min(last, Clock::now() + point_.late), reason));
  if (!others_[0] && Clock::now() < last) {
    if (point_.on_waiting)
      point_.on_waiting(fmt::format("{}: rank 0 is not there yet ({}); waiting up to {}", where(), reason,
                                    seconds_text(point_.patience)));
    others_[0] = connect_to(point_.address, point_.port, last, reason);
  }
  if (!others_[0])
    fail(ErrorKind::peer, "{}: nobody is there after {} ({}); start rank 0, or correct MASTER_ADDR and MASTER_PORT",
         where(), seconds_text(point_.patience), reason);
  Greeting greeting{.rank = point_.rank, .size = point_.size};
  put_text(greeting.host, host_name());
  const Deadline deadline = Clock::now() + point_.patience + kMore;
  Verdict verdict;
  const char* wrong = send_all(others_[0], bytes_of_one(greeting), deadline);
  if (wrong == nullptr) wrong = receive_all(others_[0], bytes_of_one(verdict), deadline);
  if (wrong == nullptr && verdict.magic != Greeting::kMagic) wrong = "is none";
  if (wrong != nullptr)
    fail(ErrorKind::peer,
         "{}: what listens there as rank 0 {}; choose another MASTER_PORT, or look why rank 0 has ended", where(),
         wrong);
  if (verdict.refusal[0] != 0) throw Error(ErrorKind::peer, get_text(verdict.refusal));
  token_ = verdict.token;
}

void Session::lost_in_between(size_t rank, std::string_view how) const {
  const std::string& host = hosts_[rank];
  fail(ErrorKind::peer, "{}: rank {} on {} {} while connections were made", where(), rank,
       host.empty() ? point_.address : host, how);
}

// Collective: everybody tells rank 0, and rank 0 tells all.
std::vector<Session::Place> Session::all_places(int my_port, Deadline deadline) {
  std::vector<Place> places(static_cast<size_t>(point_.size));
  Place& mine = places[static_cast<size_t>(point_.rank)];
  mine.port = my_port;
  put_text(mine.host, host_name());
  const std::span<std::byte> all = std::as_writable_bytes(std::span(places));
  if (point_.rank != 0) {
    const char* wrong = send_all(others_[0], bytes_of_one(mine), deadline);
    if (wrong == nullptr) wrong = receive_all(others_[0], all, deadline);
    if (wrong != nullptr) lost_in_between(0, wrong);
    return places;
  }
  for (size_t rank = 1; rank < places.size(); ++rank) {
    if (const char* const wrong = receive_all(others_[rank], bytes_of_one(places[rank]), deadline))
      lost_in_between(rank, wrong);
    put_text(places[rank].address, address_of_peer(others_[rank]));
  }
  for (size_t rank = 1; rank < places.size(); ++rank) {
    if (const char* const wrong = send_all(others_[rank], all, deadline)) lost_in_between(rank, wrong);
  }
  return places;
}

// A rank connects to those before it and is connected to by those behind it.
void Session::connect_all(std::vector<Peer>& peers, const Greeting& greeting) {
  const Deadline deadline = Clock::now() + point_.patience;
  const size_t ranks = peers.size(), me = static_cast<size_t>(point_.rank);
  const Socket listener = listen_on(0);
  const std::vector<Place> places = all_places(port_of(listener), deadline);
  for (size_t rank = 0; rank < ranks; ++rank) peers[rank].host = hosts_[rank] = get_text(places[rank].host);
  for (size_t rank = 0; rank < me; ++rank) {
    const Place& place = places[rank];
    const std::string address = place.address[0] != 0 ? get_text(place.address) : point_.address;
    std::string reason;
    peers[rank].socket = connect_to(address, place.port, std::min(deadline, Clock::now() + kReachable), reason);
    if (!peers[rank].socket)
      lost_in_between(rank, fmt::format("cannot be reached at {}:{} ({})", address, place.port, reason));
    if (const char* const wrong = send_all(peers[rank].socket, bytes_of_one(greeting), deadline))
      lost_in_between(rank, wrong);
  }
  std::vector<Guest> guests;
  const auto welcome = [&](const Guest& guest) {
    return guest.greeting.token == token_ && guest.greeting.transport == greeting.transport;
  };
  const bool all = receive_guests(
      listener, guests,
      {.wanted = ranks - 1 - me, .welcome = welcome, .deadline = deadline, .may_leave = false, .watched = others_});
  for (Guest& guest : guests) {
    if (guest.has_greeted()) peers.at(static_cast<size_t>(guest.greeting.rank)).socket = std::move(guest.socket);
  }
  if (all) {
    all_places(0, deadline);  // nobody goes on before all are connected
    return;
  }
  for (size_t i = 0; i < others_.size(); ++i) {
    if (has_hung_up(others_[i])) lost_in_between(point_.rank == 0 ? i : 0, "has hung up");
  }
  for (size_t rank = me + 1; rank < ranks; ++rank) {
    if (!peers[rank].socket) lost_in_between(rank, "has not connected");
  }
}

std::unique_ptr<Transport> Session::open_transport() {
  std::vector<Peer> peers(static_cast<size_t>(point_.size));
  const Greeting greeting{.rank = point_.rank, .size = point_.size, .transport = transports_++, .token = token_};
  if (point_.size > 1) connect_all(peers, greeting);
  return make_transport(point_.rank, std::move(peers), lost_);
}

std::string Session::loss() const {
  const std::optional<LostRank> lost = lost_->first();
  return lost ? text_of(*lost, hosts_[static_cast<size_t>(lost->rank)], point_.rank) : "";
}

}  // namespace convoy::tcp
