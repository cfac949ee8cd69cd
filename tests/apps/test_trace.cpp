// --trace: a file that shows where the time of a parallel step goes, and that communication overlaps with backward.
#include <gtest/gtest.h>

#include <set>

#include "tests/apps/run_convoy.h"
#include "tests/apps/with_mpi.h"

namespace convoy {
namespace {

using Json = nlohmann::json;

struct Span {
  std::string name;
  int64_t rank, lane, step;
  double begin, end;
};

std::vector<Span> spans_in(const std::filesystem::path& file) {
  const Json trace = Json::parse(read_text(file));
  std::vector<Span> spans;
  for (const Json& event : trace.at("traceEvents")) {
    if (event.at("ph") != "X") continue;
    const double begin = event.at("ts"), length = event.at("dur");
    spans.push_back(
        {event.at("name"), event.at("pid"), event.at("tid"), event.at("args").at("step"), begin, begin + length});
  }
  return spans;
}

std::set<std::string> names(const std::vector<Span>& spans) {
  std::set<std::string> all;
  for (const Span& span : spans) all.insert(span.name);
  return all;
}

// Steps of a rank in which an all-reduce began before the last backward pass had ended.
int overlaps(const std::vector<Span>& spans, int64_t rank) {
  std::set<int64_t> steps;
  for (const Span& sum : spans) {
    if (sum.rank != rank || sum.name != "all-reduce") continue;
    for (const Span& pass : spans) {
      if (pass.rank == rank && pass.step == sum.step && pass.name == "backward" && sum.begin < pass.end)
        steps.insert(sum.step);
    }
  }
  return static_cast<int>(steps.size());
}

TEST(TraceRanks, communication_begins_before_backward_ends) {
  if (!with_mpi()) GTEST_SKIP() << kWithoutMpi;
  const TemporaryFolder folder;
  const Outcome outcome =
      run_convoy(folder, small_training({"--model",
                                         "conv 16 3x3 pad 1; bn; relu; conv 16 3x3 pad 1; bn; relu; "
                                         "flatten; linear 32; relu; linear 10",
                                         "--batch", "20", "--epochs", "3", "--strategy", "ddp", "--ranks", "2",
                                         "--bucket-mb", "0.01", "--run", "run", "--trace", "run/trace.json"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_NE(outcome.out.find("trace    run/trace.json"), std::string::npos) << outcome.out;
  const std::vector<Span> spans = spans_in(folder / "run/trace.json");
  EXPECT_EQ(names(spans), (std::set<std::string>{"step", "next batch", "copy weights", "compute", "forward", "backward",
                                                 "batch norm exchange", "add up losses", "wait for gradients",
                                                 "all-reduce", "update"}));
  for (const int64_t rank : {0, 1}) {
    std::set<int64_t> steps;
    for (const Span& span : spans) {
      if (span.rank == rank) steps.insert(span.step);
    }
    EXPECT_EQ(steps.size(), 20u) << "rank " << rank;  // of 30
    // A loaded machine may hold the communicating thread back in some steps.
    EXPECT_GE(overlaps(spans, rank), 5) << "rank " << rank;
  }
}

TEST(Trace, replicas_have_lanes_of_their_own) {
  const TemporaryFolder folder;
  const Outcome outcome = run_convoy(folder, small_training({"--strategy", "replicated", "--replicas", "2", "--epochs",
                                                             "1", "--run", "run", "--trace", "trace.json"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  std::set<int64_t> lanes;
  for (const Span& span : spans_in(folder / "trace.json")) {
    if (span.name == "backward") lanes.insert(span.lane);
  }
  EXPECT_EQ(lanes.size(), 2u);
}

TEST(Trace, is_refused_where_it_would_show_nothing_or_could_not_be_written) {
  const TemporaryFolder folder;
  Outcome outcome = run_convoy(folder, small_training({"--trace", "trace.json"}));
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.error, "convoy: --trace: has no effect with --strategy serial, which communicates with nobody\n");
  outcome = run_convoy(folder, small_training({"--strategy", "replicated", "--replicas", "2", "--run", "run", "--trace",
                                               "run/metrics.jsonl"}));
  EXPECT_EQ(outcome.exit_code, 5);
  EXPECT_EQ(outcome.error, "convoy: --trace run/metrics.jsonl: the run itself writes this file\n");
  outcome = run_convoy(folder, small_training({"--strategy", "replicated", "--replicas", "2", "--steps", "1", "--run",
                                               "run", "--trace", "trace.json"}));
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.error, "convoy: --trace: records steps 2 to 21, this training has 1\n");
  EXPECT_TRUE(folder.names().empty());
}

}  // namespace
}  // namespace convoy
