// Ranks that are threads of the test, and meet over TCP as processes do.
#pragma once

#include <gtest/gtest.h>

#include <exception>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "parallel/rendezvous.h"
#include "tensor/error.h"

namespace convoy {

// What `work` fails with, which is to be of this kind; "no error" when it does not fail.
inline std::string error_of(const std::function<void()>& work, ErrorKind kind = ErrorKind::peer) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  return "no error";
}

// Runs `work` on `ranks` threads, each with its session; rethrows the error of the first rank that has one.
inline void on_tcp_sessions(int ranks, const std::function<void(tcp::Session&)>& work) {
  std::promise<int> listening;
  const std::shared_future<int> port = listening.get_future().share();
  std::vector<std::exception_ptr> errors(static_cast<size_t>(ranks));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        tcp::MeetingPoint point{.rank = rank, .size = ranks, .address = "localhost"};
        if (rank == 0) point.on_listening = [&](int chosen) { listening.set_value(chosen); };
        if (rank != 0) point.port = port.get();
        tcp::Session session(std::move(point));
        work(session);
      } catch (...) {
        errors[static_cast<size_t>(rank)] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace convoy
