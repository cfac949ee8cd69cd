// Who is let into a job, and what is said to those who are not.
#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>
#include <regex>

#include "parallel/agreement.h"
#include "parallel/greeting.h"
#include "parallel/tcp_transport.h"
#include "tensor/error.h"
#include "tests/parallel/tcp_ranks.h"

namespace convoy {
namespace {

using std::chrono::milliseconds;

// What each of the processes is told that want to be these ranks of jobs of these sizes. The first of them is rank 0.
std::vector<std::string> errors_of(const std::vector<std::pair<int, int>>& wishes, milliseconds patience) {
  std::promise<int> listening;
  const std::shared_future<int> port = listening.get_future().share();
  std::vector<std::string> errors(wishes.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < wishes.size(); ++i) {
    threads.emplace_back([&, i] {
      tcp::MeetingPoint point{
          .rank = wishes[i].first, .size = wishes[i].second, .address = "localhost", .patience = patience};
      if (i == 0) point.on_listening = [&](int chosen) { listening.set_value(chosen); };
      if (i != 0) point.port = port.get();
      errors[i] = error_of([&] { tcp::Session session(std::move(point)); });
    });
  }
  for (std::thread& thread : threads) thread.join();
  return errors;
}

// Nobody is told only that somebody has hung up.
void expect_all_told(const std::vector<std::string>& errors, const std::string& expected) {
  for (const std::string& error : errors)
    EXPECT_TRUE(std::regex_match(error, std::regex("rendezvous at localhost:\\d+: " + expected))) << error;
}

TEST(RendezvousParallel, a_rank_that_comes_twice_ends_the_job) {
  const std::vector<std::string> errors = errors_of({{0, 4}, {1, 4}, {1, 4}}, std::chrono::seconds(20));
  expect_all_told(errors, "rank 1 came twice, from \\S+ and \\S+; start each process with a RANK of its own");
}

TEST(RendezvousParallel, a_rank_of_a_job_of_another_size_ends_the_job) {
  expect_all_told(errors_of({{0, 3}, {1, 4}}, std::chrono::seconds(20)),
                  "rank 1 on \\S+ has WORLD_SIZE 4, rank 0 on \\S+ has 3; start all ranks alike");
}

TEST(RendezvousParallel, who_is_missing_at_the_deadline_is_named_to_all) {
  expect_all_told(errors_of({{0, 4}, {2, 4}}, milliseconds(600)),
                  "ranks 1, 3 have not come within 0.6 s; start all ranks with the same MASTER_ADDR and MASTER_PORT, "
                  "correct WORLD_SIZE, or see what the missing ones have said");
  expect_all_told(errors_of({{0, 2}}, milliseconds(100)), "rank 1 has not come within 0.1 s; .*");
}

TEST(RendezvousParallel, rank_0_may_come_last_and_whoever_waits_says_so_once) {
  const int port = tcp::port_of(tcp::listen_on(0));  // free a moment ago
  std::string told_by_1, told_by_0;
  std::thread others([&] {
    tcp::Session session({.rank = 1,
                          .size = 3,
                          .address = "localhost",
                          .port = port,
                          .late = milliseconds(100),
                          .on_waiting = [&](const std::string& text) { told_by_1 += text + "\n"; }});
    session.open_transport();
  });
  std::this_thread::sleep_for(milliseconds(300));
  std::thread last([&] {
    std::this_thread::sleep_for(milliseconds(300));
    tcp::Session session({.rank = 2, .size = 3, .address = "localhost", .port = port});
    session.open_transport();
  });
  tcp::Session session({.rank = 0,
                        .size = 3,
                        .address = "localhost",
                        .port = port,
                        .late = milliseconds(100),
                        .on_waiting = [&](const std::string& text) { told_by_0 += text + "\n"; }});
  session.open_transport();
  others.join();
  last.join();
  const std::string where = fmt::format("rendezvous at localhost:{}: ", port);
  EXPECT_EQ(told_by_1, where + "rank 0 is not there yet (Connection refused); waiting up to 60 s\n");
  EXPECT_TRUE(told_by_0.starts_with(where + "rank")) << told_by_0;
  EXPECT_TRUE(told_by_0.ends_with("not come yet; waiting up to 60 s\n")) << told_by_0;
}

TEST(RendezvousParallel, nobody_there_or_no_such_host_is_told_with_the_cure) {
  const int port = tcp::port_of(tcp::listen_on(0));
  const auto join = [&](const std::string& address) {
    tcp::Session session({.rank = 1, .size = 2, .address = address, .port = port, .patience = milliseconds(300)});
  };
  EXPECT_EQ(
      error_of([&] { join("127.0.0.1"); }),
      fmt::format("rendezvous at 127.0.0.1:{}: nobody is there after 0.3 s (Connection refused); start rank 0, or "
                  "correct MASTER_ADDR and MASTER_PORT",
                  port));
  const std::string unknown = error_of([&] { join("no-such-host.invalid"); }, ErrorKind::usage);
  EXPECT_TRUE(unknown.starts_with("rendezvous: 'no-such-host.invalid' is no host that can be found (")) << unknown;
  EXPECT_TRUE(unknown.ends_with("; correct MASTER_ADDR")) << unknown;
  EXPECT_EQ(
      error_of([&] { tcp::Session session({.rank = 0, .size = 2, .address = "no-such-host.invalid", .port = port}); },
               ErrorKind::usage),
      unknown);
}

TEST(RendezvousParallel, a_port_in_use_is_told_with_the_cure) {
  const tcp::Socket taken = tcp::listen_on(0);
  const int port = tcp::port_of(taken);
  EXPECT_EQ(error_of([&] { tcp::Session session({.rank = 0, .size = 2, .address = "localhost", .port = port}); },
                     ErrorKind::usage),
            fmt::format("rendezvous: port {} of this host is in use (by another rank 0?); choose another MASTER_PORT, "
                        "or end who has it",
                        port));
}

TEST(RendezvousParallel, one_who_answers_like_no_rank_0_is_not_waited_for) {
  const tcp::Socket other = tcp::listen_on(0);
  std::thread stranger([&] {
    tcp::wait_until_ready(other.file(), POLLIN, tcp::Clock::now() + std::chrono::seconds(10));
    const tcp::Socket guest = tcp::accept_from(other);
    const std::vector<std::byte> noise(sizeof(tcp::Verdict), std::byte{'x'});
    tcp::send_all(guest, noise, tcp::Clock::now() + std::chrono::seconds(1));
  });
  const std::string told = error_of(
      [&] { tcp::Session session({.rank = 1, .size = 2, .address = "localhost", .port = tcp::port_of(other)}); });
  stranger.join();
  EXPECT_NE(told.find(": what listens there as rank 0 is none; choose another MASTER_PORT"), std::string::npos) << told;
}

// Strangers connect to rank 0 and say nothing, nonsense, or half a greeting; and a rank comes, goes and comes again.
TEST(RendezvousParallel, strangers_are_passed_over) {
  std::promise<int> listening;
  std::thread first([&] {
    tcp::MeetingPoint point{.rank = 0, .size = 3, .address = "localhost"};
    point.on_listening = [&](int chosen) { listening.set_value(chosen); };
    tcp::Session session(std::move(point));
    session.open_transport();
  });
  const int port = listening.get_future().get();
  const auto deadline = tcp::Clock::now() + std::chrono::seconds(10);
  std::string reason;
  const auto come = [&] { return tcp::connect_to("localhost", port, deadline, reason); };
  const tcp::Socket silent = come(), nonsense = come(), half = come();
  const std::vector<std::byte> noise(1000, std::byte{'x'});
  tcp::send_all(nonsense, noise, deadline);
  tcp::send_all(half, std::span(noise).first(10), deadline);
  const tcp::Greeting greeting{.rank = 1, .size = 3};
  {
    const tcp::Socket gone = come();
    tcp::send_all(gone, bytes_of(std::span(&greeting, 1)), deadline);
    std::this_thread::sleep_for(milliseconds(100));
  }
  std::this_thread::sleep_for(milliseconds(100));
  std::thread second([&] {
    tcp::Session session({.rank = 1, .size = 3, .address = "localhost", .port = port});
    session.open_transport();
  });
  tcp::Session session({.rank = 2, .size = 3, .address = "localhost", .port = port});
  session.open_transport();
  first.join();
  second.join();
}

TEST(RendezvousParallel, a_rank_that_ends_while_connections_are_made_is_named) {
  std::vector<std::string> errors(3);
  const auto start = tcp::Clock::now();
  on_tcp_sessions(3, [&](tcp::Session& session) {
    if (session.rank() == 1) return;
    errors[static_cast<size_t>(session.rank())] = error_of([&] { session.open_transport(); });
  });
  EXPECT_LT(tcp::Clock::now() - start, std::chrono::seconds(5));
  EXPECT_NE(errors[0].find("rank 1 on "), std::string::npos) << errors[0];
  EXPECT_NE(errors[0].find(" has hung up while connections were made"), std::string::npos) << errors[0];
  EXPECT_NE(errors[2].find("has hung up while connections were made"), std::string::npos) << errors[2];
}

}  // namespace
}  // namespace convoy
