// Trace: what each thread of a rank did in a few steps, and when, as a picture for ui.perfetto.dev or chrome://tracing. A
// rank is a process of the picture; its lanes are the step as a whole, communication, and each shard's computing.
//
//   Trace trace(layout, others);
//   trace.begin_step(7);
//   {
//     const TraceSpan span(&trace, Trace::kStep, "update");
//     optimizer.step(lr);
//   }
//   trace.end_step();
//   const std::string json = trace.json(others);
//
// Who takes a `Trace*` records nothing where it is null, at the cost of that comparison.
//
// Google, "Trace Event Format", 2016.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "parallel/communicator.h"
#include "parallel/layout.h"

namespace convoy {

class Trace {
 public:
  using Clock = std::chrono::steady_clock;

  // Steps that are recorded, the first of a training left out: in it memory is taken for the first time.
  static constexpr int64_t kFirstStep = 2, kLastStep = 21;

  // Lanes; the one of shard i, counted within this process, is of_shard(i).
  static constexpr int kStep = 0, kCommunication = 1;
  static constexpr int of_shard(size_t shard) { return 2 + static_cast<int>(shard); }

  // Time begins here, with rank 0's; on several hosts it is as exact as their clocks agree. `others`: all ranks, or null.
  // Collective.
  Trace(const Layout& layout, Communicator* others);

  // Around a step, on the thread that calls for all its parts. Outside of recorded steps nothing is added.
  void begin_step(int64_t step);  // from 1
  void end_step();
  void pause() { step_ = 0; }  // until the next begin_step()

  // `name` is a literal; bytes, unless 0, are shown with it. From any thread.
  void add(int lane, const char* name, Clock::time_point begin, Clock::time_point end, int64_t bytes = 0);

  // The picture of all ranks, as a JSON object; on ranks above 0 it may be ignored. Collective.
  std::string json(Communicator* others) const;

 private:
  struct Event {
    int lane;
    const char* name;
    Clock::time_point begin, end;
    int64_t step, bytes;
  };
  std::string own_json() const;
  double microseconds(Clock::time_point when) const;  // since time began

  const Layout layout_;
  std::chrono::nanoseconds origin_;  // when time began, on this rank's Clock
  int64_t step_ = 0;                 // the one being recorded; 0: none. Changes while no other thread adds.
  Clock::time_point step_begin_;

  std::mutex mutex_;
  std::vector<Event> events_;  // guarded by mutex_
};

// Adds what lies between its construction and its end; nothing when `trace` is null.
class TraceSpan {
 public:
  TraceSpan(Trace* trace, int lane, const char* name, int64_t bytes = 0)
      : trace_(trace), lane_(lane), name_(name), bytes_(bytes) {
    if (trace_ != nullptr) begin_ = Trace::Clock::now();
  }
  ~TraceSpan() {
    if (trace_ != nullptr) trace_->add(lane_, name_, begin_, Trace::Clock::now(), bytes_);
  }
  TraceSpan(const TraceSpan&) = delete;
  TraceSpan& operator=(const TraceSpan&) = delete;

 private:
  Trace* trace_;
  int lane_;
  const char* name_;
  int64_t bytes_;
  Trace::Clock::time_point begin_;
};

}  // namespace convoy
