// The communicator's suite over TCP, among threads; how a transport ends, by intent and otherwise.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <chrono>
#include <numeric>

#include "parallel/agreement.h"
#include "parallel/background_all_reduce.h"
#include "parallel/local_transport.h"
#include "parallel/ring_all_reduce.h"
#include "parallel/tcp_connection.h"
#include "parallel/tcp_transport.h"
#include "parallel/tree_all_reduce.h"
#include "tensor/error.h"
#include "tests/parallel/communicator_cases.h"
#include "tests/parallel/tcp_ranks.h"

namespace convoy {
namespace {

using Bytes = std::vector<std::byte>;
using std::chrono::milliseconds;

struct Setting {
  const char* algorithm_name;
  AllReduceAlgorithm algorithm;
  int ranks;
};

class TcpParallel : public testing::TestWithParam<Setting> {};

// All cases on one pair of transports, as in a job.
TEST_P(TcpParallel, communicator) {
  const Setting& setting = GetParam();
  on_tcp_sessions(setting.ranks, [&](tcp::Session& session) {
    std::unique_ptr<Transport> small = session.open_transport(), large = session.open_transport();
    Communicator communicator(std::move(small), make_background_all_reduce(std::move(large), setting.algorithm));
    for (const CommunicatorCase& test : communicator_cases()) {
      SCOPED_TRACE(test.name);
      test.run(communicator);
    }
    if (setting.algorithm != tree_all_reduce) return;
    for (const CommunicatorCase& test : reproducible_cases()) test.run(communicator);
  });
}

INSTANTIATE_TEST_SUITE_P(all, TcpParallel,
                         testing::Values(Setting{"ring", ring_all_reduce, 1}, Setting{"ring", ring_all_reduce, 2},
                                         Setting{"ring", ring_all_reduce, 3}, Setting{"ring", ring_all_reduce, 4},
                                         Setting{"tree", tree_all_reduce, 1}, Setting{"tree", tree_all_reduce, 2},
                                         Setting{"tree", tree_all_reduce, 3}, Setting{"tree", tree_all_reduce, 4}),
                         [](const auto& info) {
                           return std::string(info.param.algorithm_name) + "_" + std::to_string(info.param.ranks) +
                                  "_ranks";
                         });

Bytes numbered_bytes(size_t size, int salt) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<std::byte>((i * 31 + i / 251 + static_cast<size_t>(salt)) & 255);
  return bytes;
}

// Two ranks, connected, without a rendezvous; of a third they know no more than the name.
struct Pair {
  Pair() {
    int files[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, files), 0);
    for (int rank = 0; rank < 2; ++rank) {
      std::vector<tcp::Peer> peers(3);
      peers[0].host = "hostA";
      peers[1].host = "hostB";
      peers[2].host = "hostC";
      peers[static_cast<size_t>(1 - rank)].socket = tcp::Socket(files[rank]);
      lost[rank] = std::make_shared<tcp::LostRanks>();
      ends[rank] = tcp::make_transport(rank, std::move(peers), lost[rank]);
    }
  }
  std::shared_ptr<tcp::LostRanks> lost[2];
  std::unique_ptr<Transport> ends[2];
};

void pause(milliseconds time) { std::this_thread::sleep_for(time); }

TEST(TcpParallelMessages, of_any_size_arrive_in_order_whoever_comes_first) {
  constexpr size_t kEager = tcp::Connection::kEager;
  const std::vector<size_t> sizes{0, 1, kEager - 1, 7, kEager, kEager + 1, 0, 5'000'011, 3, 2 * kEager, kEager + 1, 13};
  for (const bool receiver_first : {false, true}) {
    const Pair pair;
    std::vector<Bytes> sent, received;
    std::vector<std::unique_ptr<Message>> sends, receives;
    for (size_t i = 0; i < sizes.size(); ++i) {
      sent.push_back(numbered_bytes(sizes[i], static_cast<int>(i)));
      received.emplace_back(sizes[i]);
    }
    const auto send = [&] {
      for (const Bytes& each : sent) sends.push_back(pair.ends[0]->send(1, each));
    };
    if (!receiver_first) send();
    pause(milliseconds(50));
    for (size_t i = 0; i < sizes.size(); ++i) {
      receives.push_back(pair.ends[1]->receive(0, received[i]));
      if (!receiver_first && i == 2) pause(milliseconds(50));
    }
    pause(milliseconds(50));
    if (receiver_first) send();
    for (size_t i = 0; i < sizes.size(); ++i) {
      receives[i]->wait();
      EXPECT_TRUE(received[i] == sent[i]) << sizes[i] << " bytes";
    }
    for (const auto& message : sends) message->wait();
  }
}

TEST(TcpParallelMessages, a_long_one_waits_for_its_receiver_and_heartbeats_do_not) {
  const Pair pair;
  const Bytes sent = numbered_bytes(20'000'003, 1);
  Bytes received(sent.size());
  const auto message = pair.ends[0]->send(1, sent);
  pause(std::chrono::seconds(8));  // longer than a rank may be silent
  pair.ends[0]->check_alive();
  pair.ends[1]->check_alive();
  pair.ends[1]->receive(0, received)->wait();
  message->wait();
  EXPECT_TRUE(received == sent);
}

TEST(TcpParallelMessages, of_other_sizes_than_expected_are_an_error_on_both_sides) {
  constexpr size_t kLarge = 100'000, kLarger = 200'000;
  for (const auto& [sent, expected] : {std::pair<size_t, size_t>{3, 4}, {kLarge, 4}, {4, kLarge}, {kLarge, kLarger}}) {
    for (const bool receiver_first : {false, true}) {
      const Pair pair;
      const Bytes data(sent);
      Bytes into(expected);
      std::unique_ptr<Message> send, receive;
      if (receiver_first) receive = pair.ends[1]->receive(0, into);
      if (receiver_first) pause(milliseconds(20));
      send = pair.ends[0]->send(1, data);
      if (!receiver_first) pause(milliseconds(20));
      if (!receiver_first) receive = pair.ends[1]->receive(0, into);
      EXPECT_ANY_THROW(receive->wait()) << sent << " sent, " << expected << " expected";
    }
  }
}

TEST(TcpParallelEnd, sends_first_what_was_to_be_sent_and_is_no_death) {
  Pair pair;
  const Bytes sent = numbered_bytes(1000, 1);
  Bytes received(sent.size());
  pair.ends[0]->send(1, sent)->wait();
  pair.ends[0].reset();
  pause(milliseconds(1500));  // heartbeats meet a closed connection meanwhile
  pair.ends[1]->check_alive();
  pair.ends[1]->receive(0, received)->wait();
  EXPECT_TRUE(received == sent);
  // But who goes on waiting for more is told.
  EXPECT_EQ(error_of([&] { pair.ends[1]->receive(0, received)->wait(); }), "rank 0 on hostA has left the job");
}

TEST(TcpParallelEnd, abort_wakes_both_sides) {
  const Pair pair;
  Bytes at_0(10), at_1(10);
  const auto first = pair.ends[0]->receive(1, at_0), second = pair.ends[1]->receive(0, at_1);
  pair.ends[1]->abort();
  EXPECT_EQ(error_of([&] { first->wait(); }), "rank 1 on hostB has left the job");
  EXPECT_EQ(error_of([&] { second->wait(); }), "this rank has given up");
  EXPECT_EQ(error_of([&] { pair.ends[0]->check_alive(); }), "rank 1 on hostB has left the job");
  EXPECT_EQ(error_of([&] { pair.ends[0]->send(1, at_0)->wait(); }), "rank 1 on hostB has left the job");
}

TEST(TcpParallelEnd, a_message_that_is_given_up_half_way_ends_the_transport_and_leaves_its_memory_alone) {
  const Pair pair;
  const Bytes sent(50'000'000);
  const auto send = pair.ends[0]->send(1, sent);
  {
    auto received = std::make_unique<Bytes>(sent.size());
    const auto message = pair.ends[1]->receive(0, *received);
    pause(milliseconds(2));
  }
  EXPECT_NE(error_of([&] { send->wait(); }), "no error");
}

TEST(TcpParallelEnd, local_transports_know_too_that_somebody_has_gone) {
  const auto ends = make_local_group(2);
  ends[0]->check_alive();
  ends[1]->abort();
  EXPECT_EQ(error_of([&] { ends[0]->check_alive(); }), "local transport: another rank has given up");
}

// Rank 0 alone has noticed that rank 2 is lost, and goes at once: rank 1 must not take it for the lost one.
TEST(TcpParallelEnd, who_notices_a_lost_rank_tells_the_others_before_it_goes) {
  Pair pair;
  const std::string told = "rank 2 on hostC has shown no sign of life for 6 s (is it stopped?)";
  Bytes at_0(10), at_1(10);
  const auto message = pair.ends[1]->receive(0, at_1);
  pair.lost[0]->tell({.rank = 2, .how = tcp::LostRank::How::silent});
  EXPECT_EQ(error_of([&] { pair.ends[0]->receive(1, at_0)->wait(); }), told);
  pair.ends[0]->abort();
  pair.ends[0].reset();
  EXPECT_EQ(error_of([&] { message->wait(); }), told);
  EXPECT_EQ(error_of([&] { pair.ends[1]->check_alive(); }), told);
}

// Rank 2 leaves; what the others name, on the transport that rank 2 has left and on another, must be rank 2, though the
// first to notice leaves at once as well.
TEST(TcpParallelEnd, all_name_the_one_that_was_lost_first) {
  for (int round = 0; round < 20; ++round) {
    std::vector<std::string> errors(4);
    on_tcp_sessions(4, [&](tcp::Session& session) {
      const std::unique_ptr<Transport> small = session.open_transport(), large = session.open_transport();
      const auto rank = static_cast<size_t>(session.rank());
      if (rank == 2) {
        large->abort();
        small->abort();
        return;
      }
      char byte = 0;
      const auto bytes = std::as_writable_bytes(std::span(&byte, 1));
      Transport& mine = rank % 2 == 0 ? *small : *large;
      errors[rank] = error_of([&] { mine.receive(static_cast<int>((rank + 1) % 4), bytes)->wait(); });
      EXPECT_EQ(session.loss(), errors[rank]);
      small->abort();
      large->abort();
    });
    for (const size_t rank : {0, 1, 3}) EXPECT_EQ(errors[rank], "rank 2 on " + host_name() + " has left the job");
  }
}

}  // namespace
}  // namespace convoy
