// A trace records the steps it promises, of every lane, and shows communication beside computing.
#include "parallel/trace.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "parallel/ring_all_reduce.h"
#include "tests/parallel/local_ranks.h"

namespace convoy {
namespace {

using Json = nlohmann::json;

std::vector<Json> events(const std::string& text, const std::string& kind) {
  const Json trace = Json::parse(text);
  std::vector<Json> found;
  for (const Json& event : trace.at("traceEvents")) {
    if (event.at("ph") == kind) found.push_back(event);
  }
  return found;
}

TEST(Trace, records_the_second_to_the_21st_step_and_nothing_between_steps) {
  Trace trace({}, nullptr);
  for (int64_t step = 1; step <= 30; ++step) {
    trace.begin_step(step);
    { const TraceSpan span(&trace, Trace::of_shard(0), "forward", 12); }
    trace.end_step();
    { const TraceSpan span(&trace, Trace::of_shard(0), "between"); }
    trace.begin_step(step + 1);
    trace.pause();
    { const TraceSpan span(&trace, Trace::of_shard(0), "evaluation"); }
  }
  const std::vector<Json> spans = events(trace.json(nullptr), "X");
  ASSERT_EQ(spans.size(), 2u * 20);
  for (size_t i = 0; i < spans.size(); ++i) {
    EXPECT_EQ(spans[i].at("name"), i % 2 == 0 ? "forward" : "step");
    EXPECT_EQ(spans[i].at("args").at("step"), 2 + i / 2);
    EXPECT_EQ(spans[i].at("args").value("bytes", 0), i % 2 == 0 ? 12 : 0);
    EXPECT_EQ(spans[i].at("tid"), i % 2 == 0 ? Trace::of_shard(0) : Trace::kStep);
    EXPECT_GE(spans[i].at("ts"), 0);
    EXPECT_GE(spans[i].at("dur"), 0);
  }
}

TEST(Trace, a_span_without_a_trace_does_nothing) { const TraceSpan span(nullptr, Trace::kStep, "step"); }

TEST(Trace, shows_all_ranks_on_one_time_axis_and_names_their_lanes) {
  on_local_ranks(3, ring_all_reduce, [](Communicator& others) {
    Trace trace({.rank = others.rank(), .ranks = 3, .replicas = 2, .shards = 12}, &others);
    trace.begin_step(2);
    others.barrier();
    trace.end_step();
    const std::string text = trace.json(&others);
    const std::vector<Json> spans = events(text, "X");
    ASSERT_EQ(spans.size(), 3u);
    // A barrier is one moment at which all were in it.
    double latest_begin = 0, first_end = 1e9;
    for (size_t rank = 0; rank < 3; ++rank) {
      EXPECT_EQ(spans[rank].at("pid"), rank);
      const double begin = spans[rank].at("ts"), length = spans[rank].at("dur");
      latest_begin = std::max(latest_begin, begin);
      first_end = std::min(first_end, begin + length);
    }
    EXPECT_LE(latest_begin, first_end);
    std::vector<std::string> lanes;
    for (const Json& event : events(text, "M")) {
      if (event.at("pid") == 1 && event.at("name") == "thread_name") lanes.push_back(event.at("args").at("name"));
    }
    EXPECT_EQ(lanes, (std::vector<std::string>{"step", "compute: replica 0, shard 0", "compute: replica 0, shard 1",
                                               "compute: replica 1, shard 2", "compute: replica 1, shard 3",
                                               "communication"}));
  });
}

}  // namespace
}  // namespace convoy
