// `convoy compare` as a user runs it.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "tests/apps/run_convoy.h"
#include "tests/apps/with_mpi.h"

namespace convoy {
namespace {

using Arguments = std::vector<std::string>;

// A comparison of seconds.
Arguments small_comparison(const Arguments& more) {
  Arguments arguments{
      "compare", "--quick", "--dataset", "synthetic", "--models", "conv 4 3x3; relu; flatten; linear 10",
      "--limit", "100",     "--holdout", "50",        "--run",    "run"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(compare, writes_tables_pictures_and_the_same_bits_along_the_tree) {
  const TemporaryFolder folder;
  const Outcome outcome = run_convoy(folder, small_comparison({"--strategies", "openmp,replicated", "--workers-list",
                                                               "1,2", "--reduce", "tree", "--shards", "4"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_EQ(outcome.error, "");
  EXPECT_FALSE(has(outcome.out, "\x1b")) << "without a terminal";
  EXPECT_TRUE(has(outcome.out, "[8/8] ")) << outcome.out;
  EXPECT_TRUE(has(outcome.out, "is serial"));

  const std::string markdown = read_text(folder / "run/report.md"), page = read_text(folder / "run/report.html"),
                    csv = read_text(folder / "run/results.csv");
  EXPECT_TRUE(has(markdown, "| replicated | 2 replicas | ")) << markdown;
  EXPECT_TRUE(has(markdown, "| yes, bit for bit |"));
  EXPECT_FALSE(has(markdown, "final loss within"));
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 8);
  EXPECT_TRUE(has(page, "</html>"));
  if (has(outcome.out, "no pictures")) {
    EXPECT_TRUE(has(page, "gnuplot-nox"));
  } else {
    EXPECT_TRUE(has(page, "<svg"));
    EXPECT_TRUE(std::filesystem::exists(folder / "run/plots/speedup-custom.png"));
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "run/custom/serial-round-1/weights.safetensors"));
  EXPECT_EQ(read_events(folder / "run/custom/openmp-2-round-2", "summary").size(), 1u);
}

TEST(compare, without_gnuplot_the_report_is_there_and_says_how_to_get_pictures) {
  const TemporaryFolder folder;
  const Outcome outcome =
      run_convoy(folder, small_comparison({"--strategies", "openmp", "--workers-list", "2", "--repeats", "1"}),
                 {{"PATH", "/nowhere"}});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_TRUE(has(outcome.out, "no pictures: ")) << outcome.out;
  EXPECT_TRUE(has(read_text(folder / "run/report.html"), "apt install gnuplot-nox"));
}

TEST(CompareRanks, a_failing_strategy_is_shown_and_the_rest_is_kept) {
  if (!with_mpi()) GTEST_SKIP() << kWithoutMpi;
  const TemporaryFolder folder, programs;
  std::ofstream(programs / "mpirun") << "#!/bin/sh\nexit 9\n";
  std::filesystem::permissions(programs / "mpirun", std::filesystem::perms::owner_all);
  const Outcome outcome =
      run_convoy(folder, small_comparison({"--strategies", "openmp,ddp", "--workers-list", "2", "--repeats", "1"}),
                 {{"PATH", programs.path().string()}});
  EXPECT_EQ(outcome.exit_code, 7);
  EXPECT_EQ(outcome.error,
            "convoy: compare: 1 of 3 runs failed, the first with exit code 7; run/report.html tells which and why\n");
  const std::string markdown = read_text(folder / "run/report.md");
  EXPECT_TRUE(has(markdown, "failed (exit code 7): rank 0 ended early with exit code 9")) << markdown;
  EXPECT_TRUE(has(markdown, "| openmp | 2 threads | ")) << markdown;
  EXPECT_TRUE(has(read_text(folder / "run/custom/ddp-2-round-1/output.txt"), "convoy: rank 0 ended early"));
}

TEST(CompareRanks, wrong_usage_that_comes_to_light_late_ends_it_and_keeps_what_was_measured) {
  if (!with_mpi()) GTEST_SKIP() << kWithoutMpi;
  const TemporaryFolder folder;
  const Outcome outcome =
      run_convoy(folder, small_comparison({"--strategies", "ddp,openmp", "--workers-list", "2", "--repeats", "1"}),
                 {{"PATH", "/nowhere"}});  // and no mpirun there
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.error,
            "convoy: compare: custom with ddp, 2 ranks: mpirun: not found; install it (openmpi-bin), start the ranks "
            "yourself (RANK, WORLD_SIZE: docs/parallel.md), or choose another --strategy\n");
  EXPECT_TRUE(has(outcome.out, "no round is complete: no report")) << outcome.out;
  EXPECT_FALSE(has(outcome.out, "[3/3]")) << outcome.out;
  EXPECT_TRUE(has(read_text(folder / "run/results.csv"), "mpirun: not found"));
}

TEST(compare, wrong_usage_that_the_first_run_tells_ends_it_and_leaves_nothing_behind) {
  const TemporaryFolder folder;
  // 100 images in batches of 99: the last batch of one image has no statistics for batch norm to use.
  for (const Arguments& where : {Arguments{}, Arguments{"--run", "some/where"}}) {
    Arguments arguments{
        "compare",      "--quick", "--dataset",      "synthetic", "--models",  "flatten; linear 9; bn; linear 10",
        "--limit",      "100",     "--batch",        "99",        "--holdout", "50",
        "--strategies", "openmp",  "--workers-list", "2"};
    arguments.insert(arguments.end(), where.begin(), where.end());
    const Outcome outcome = run_convoy(folder, arguments);
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_TRUE(
        outcome.error.starts_with("convoy: compare: custom with serial, 1 thread: step 2: its batch has one image"))
        << outcome.error;
    EXPECT_EQ(std::count(outcome.error.begin(), outcome.error.end(), '\n'), 1) << outcome.error;
    EXPECT_TRUE(folder.names().empty()) << folder.names().front();
  }
}

TEST(compare, what_remains_is_estimated_after_each_round_but_the_last) {
  const TemporaryFolder folder;
  const Outcome outcome =
      run_convoy(folder, small_comparison({"--strategies", "openmp", "--workers-list", "2", "--repeats", "3"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  size_t estimates = 0;
  for (size_t at = 0; (at = outcome.out.find("about ", at)) != std::string::npos; ++at) {
    if (has(outcome.out.substr(at, 30), " left\n")) ++estimates;
  }
  EXPECT_EQ(estimates, 2u) << outcome.out;
}

TEST(compare, lists_may_have_spaces_within_one_argument) {
  const TemporaryFolder folder;
  EXPECT_EQ(run_convoy(folder, small_comparison({"--strategies", " openmp , replicated", "--workers-list", "1, 2",
                                                 "--repeats", "1"}))
                .exit_code,
            0);
}

TEST(compare, ctrl_c_keeps_the_complete_rounds) {
  const TemporaryFolder folder;
  // With threads of its own, none of which may be what the signal meets.
  Process process(folder, small_comparison({"--strategies", "openmp", "--workers-list", "2", "--repeats", "500"}),
                  {{"OMP_NUM_THREADS", "3"}});
  for (int i = 0; i < 3000 && !std::filesystem::exists(folder / "run/custom/serial-round-2/metrics.jsonl"); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  process.send(SIGINT);
  const Outcome outcome = process.wait();
  EXPECT_EQ(outcome.exit_code, 130) << outcome.error;
  EXPECT_TRUE(has(read_text(folder / "run/report.md"), "Interrupted"));
  EXPECT_TRUE(has(read_text(folder / "run/report.md"), " round")) << outcome.out;
}

TEST(compare, wrong_use_is_one_line_and_leaves_nothing_behind) {
  struct Mistake {
    Arguments arguments;
    int exit_code;
    const char* told;
  };
  for (const Mistake& mistake : std::vector<Mistake>{
           {{"--strategies", "serial,dpd"}, 2, "unknown strategy 'dpd', did you mean 'ddp'?"},
           {{"--workers-list", "0"}, 2, "--workers-list: 0 is too small, the least is 1"},
           {{"--workers-list", "1,,2"}, 2, "--workers-list: '1,,2' is not a list like a,b,c"},
           {{"--workers-list", "1, ,2"}, 2, "--workers-list: '1, ,2' is not a list like a,b,c"},
           {{"--workers-list", "1,", "2"},
            2,
            "unknown argument '2': a list with spaces has to be quoted; or leave them out"},
           {{"--workers-list", "1", ",2"}, 2, "unknown argument ',2': a list with spaces has to be quoted"},
           {{"--workers-list", "two"}, 2, "--workers-list: 'two' is not a whole number"},
           {{"--workers-list", "2,2"}, 2, "--workers-list: 2 is named twice"},
           {{"--strategies", "hybrid", "--workers-list", "2,3"}, 2, "none of the workers 2, 3 suit it"},
           {{"--strategies", "serial"}, 2, "nothing to compare with serial"},
           {{"--models", "mnist-cn"}, 2, "did you mean 'mnist-cnn'?"},
           {{"--dataset", "cifar10"}, 3, "cifar10: not found"},
           {{"--models", "cifar-cnn"}, 3, "cifar-cnn wants cifar10; convoy data fetch cifar10"},
           {{"--shards", "4"}, 2, "--shards: has no effect with --reduce ring"},
           {{"--repeats", "0"}, 2, "--repeats: 0 is too small"},
           {{"--strategy", "ddp"}, 2, "did you mean '--strategies'?"},
           {{"--run", "/dev/null"}, 5, "is not a folder"},
       }) {
    SCOPED_TRACE(nlohmann::json(mistake.arguments).dump());
    const TemporaryFolder folder;
    Arguments arguments{"compare", "--quick"};
    arguments.insert(arguments.end(), mistake.arguments.begin(), mistake.arguments.end());
    const Outcome outcome = run_convoy(folder, arguments);
    EXPECT_EQ(outcome.exit_code, mistake.exit_code);
    EXPECT_TRUE(has(outcome.error, mistake.told)) << outcome.error;
    EXPECT_EQ(std::count(outcome.error.begin(), outcome.error.end(), '\n'), 1) << outcome.error;
    EXPECT_TRUE(folder.names().empty());
  }
}

}  // namespace
}  // namespace convoy
