// What a comparison is made of, without running one: the plan, statistics on made-up runs, and the writers of its
// files.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "apps/comparison.h"
#include "apps/comparison_files.h"
#include "apps/comparison_page.h"
#include "apps/comparison_plots.h"
#include "apps/comparison_shares.h"
#include "apps/comparison_table.h"
#include "apps/comparison_traffic.h"
#include "apps/html.h"
#include "tensor/error.h"
#include "tests/apps/run_convoy.h"
#include "tests/apps/with_mpi.h"

namespace convoy {
namespace {

const char* const kTiny = "conv 4 3x3; relu; flatten; linear 10";

ComparisonPlan plan_of(GivenOptions more) {
  more.insert({{"--dataset", "synthetic"}, {"--models", kTiny}});
  return make_plan(more);
}

std::vector<std::string> names_of(const ComparisonPlan& plan) {
  std::vector<std::string> names;
  for (const Configuration& one : plan.configurations) names.push_back(one.name());
  return names;
}

TEST(comparison_plan, has_serial_first_and_every_strategy_with_the_workers_that_suit_it) {
  if (!with_mpi()) GTEST_SKIP() << kWithoutMpi;
  EXPECT_EQ(names_of(plan_of({{"--strategies", "openmp,replicated,hybrid"}, {"--workers-list", "1,2,3,4,6"}})),
            (std::vector<std::string>{"serial", "openmp-2", "openmp-3", "openmp-4", "openmp-6", "replicated-1",
                                      "replicated-2", "replicated-3", "replicated-4", "replicated-6", "hybrid-2x2",
                                      "hybrid-2x3"}));
}

TEST(comparison_plan, every_configuration_runs_once_in_each_round) {
  const ComparisonPlan plan =
      plan_of({{"--strategies", "openmp,replicated"}, {"--workers-list", "2,4"}, {"--repeats", "3"}});
  const std::vector<PlannedRun> runs = plan.runs();
  ASSERT_EQ(runs.size(), 3 * 5u);
  std::set<std::string> folders;
  for (size_t i = 0; i < runs.size(); ++i) {
    EXPECT_EQ(runs[i].round, static_cast<int64_t>(i / 5) + 1);
    EXPECT_EQ(runs[i].configuration, i % 5);
    folders.insert(plan.folder_of(runs[i]).string());
  }
  EXPECT_EQ(folders.size(), runs.size());
  EXPECT_TRUE(folders.contains("custom/replicated-4-round-3"));
}

TEST(comparison_plan, each_worker_has_one_thread_and_all_train_the_same) {
  if (!with_mpi()) GTEST_SKIP() << kWithoutMpi;
  const ComparisonPlan plan = plan_of(
      {{"--strategies", "openmp,replicated,ddp,hybrid"}, {"--workers-list", "4"}, {"--batch", "32"}, {"--seed", "7"}});
  const char* const kThreads[] = {"1", "4", "4", "1", "2"};
  for (size_t i = 0; i < plan.configurations.size(); ++i) {
    const GivenOptions options = plan.training_options({0, i, 1});
    EXPECT_EQ(options.at("--threads"), kThreads[i]);
    EXPECT_EQ(options.at("--batch"), "32");
    EXPECT_EQ(options.at("--seed"), "7");
    EXPECT_EQ(plan.configurations[i].workers(), i == 0 ? 1 : 4);
  }
  EXPECT_EQ(plan.training_options({0, 4, 1}).at("--ranks"), "2");
  EXPECT_EQ(plan.training_options({0, 4, 1}).at("--replicas"), "2");
}

TEST(comparison_plan, serial_sums_along_the_tree_like_all_others_or_not_at_all) {
  const GivenOptions tree{
      {"--strategies", "replicated"}, {"--workers-list", "2"}, {"--reduce", "tree"}, {"--shards", "4"}};
  EXPECT_EQ(plan_of(tree).training_options({0, 0, 1}).at("--shards"), "4");
  const GivenOptions ring{
      {"--strategies", "replicated"}, {"--workers-list", "2"}, {"--reduce", "ring"}, {"--bucket-mb", "2"}};
  EXPECT_FALSE(plan_of(ring).training_options({0, 0, 1}).contains("--reduce"));
  EXPECT_EQ(plan_of(ring).training_options({0, 1, 1}).at("--reduce"), "ring");
}

TEST(comparison_plan, quick_is_short_but_for_what_is_given) {
  const ComparisonPlan plan = plan_of({{"--quick", "true"}, {"--strategies", "replicated"}, {"--limit", "99"}});
  EXPECT_EQ(plan.options.at("--limit"), "99");
  EXPECT_EQ(plan.options.at("--epochs"), "1");
  EXPECT_EQ(names_of(plan), (std::vector<std::string>{"serial", "replicated-1", "replicated-2"}));
}

TEST(comparison_plan, bytes_of_a_step_follow_the_formulas) {
  const Configuration hybrid{.strategy = "hybrid", .ranks = 2, .replicas = 2, .threads = 2};
  const StepTraffic traffic = step_traffic(hybrid, 1000, 8);
  EXPECT_EQ(traffic.copy, 4000);         // 1 other replica
  EXPECT_EQ(traffic.reduce, 3 * 4000);   // 4 shards in a process
  EXPECT_EQ(traffic.communicate, 4000);  // 2 (2 - 1) / 2
  const StepTraffic serial = step_traffic(Configuration{.strategy = "serial"}, 1000, 1);
  EXPECT_EQ(serial.copy + serial.reduce + serial.communicate, 0);
}

// Two rounds of serial, openmp-2 and replicated-4 on two cores. OpenMP gives serial's bits; replicated does not, and
// fails in the second round where `fails`.
Comparison made_up(bool fails = false) {
  Comparison comparison;
  comparison.plan.models = {{"a < b | c, \"d\"", "custom", "synthetic", 1000, 2000}};
  comparison.plan.configurations = {Configuration{.strategy = "serial"},
                                    Configuration{.strategy = "openmp", .threads = 2},
                                    Configuration{.strategy = "replicated", .replicas = 4, .threads = 4}};
  comparison.plan.repeats = 2;
  comparison.plan.options = {};
  comparison.plan.evaluated = "validation";
  comparison.cores = 2;
  comparison.machine = {{"CPU", "Model <T>"}};
  comparison.command = "convoy compare --models 'a < b'";
  const double seconds[] = {10, 5, 4, 14, 7, 8};
  for (size_t i = 0; i < 6; ++i) {
    RunResult result{.run = {0, i % 3, static_cast<int64_t>(i / 3) + 1}};
    result.seconds = seconds[i];
    result.samples_per_second = 1000 / seconds[i];
    result.loss = i % 3 == 2 ? 0.202 : 0.2;
    result.accuracy = i % 3 == 2 ? 90.2 : 90;
    result.losses = {{1, 2.5}, {2, 0.2}};
    result.training_images = 2048;
    result.evaluated_images = 100;
    result.weights_sha256 = i % 3 == 2 ? "feed" : "cafe";
    if (i % 3 == 2)
      result.times =
          StepTimes{.copy = 0.6, .compute = 2.4, .exchange = 0.3, .reduce = 0.6, .communicate = 0.3, .update = 0.3};
    comparison.results.push_back(result);
  }
  if (fails) comparison.results[5] = {.run = {0, 2, 2}, .exit_code = 7, .message = "rank 1 was killed, \"<signal>\" 9"};
  comparison.summaries = summarise(comparison.plan, comparison.results, comparison.cores);
  return comparison;
}

TEST(comparison_statistics, the_median_of_an_even_count_is_the_mean_of_the_middle) {
  EXPECT_EQ(spread_of({3}).median, 3);
  EXPECT_EQ(spread_of({9, 1, 2}).median, 2);
  const Spread spread = spread_of({4, 1, 3, 100});
  EXPECT_EQ(spread.median, 3.5);
  EXPECT_EQ(spread.least, 1);
  EXPECT_EQ(spread.most, 100);
}

TEST(comparison_statistics, speed_up_is_serials_median_over_the_own) {
  const std::vector<ConfigurationSummary> all = made_up().summaries.at(0).configurations;
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].speedup->median, 1);
  EXPECT_EQ(all[1].speedup->median, 2);  // 12 / 6
  EXPECT_EQ(all[1].speedup->most, 12.0 / 5);
  EXPECT_EQ(all[1].speedup->least, 12.0 / 7);
  EXPECT_TRUE(all[1].difference->same_bits);
  EXPECT_FALSE(all[1].oversubscribed);
  EXPECT_FALSE(all[2].difference->same_bits);
  EXPECT_NEAR(all[2].difference->loss, 0.01, 1e-12);
  EXPECT_TRUE(all[2].difference->accuracy_holds());
  EXPECT_TRUE(all[2].oversubscribed);
  EXPECT_DOUBLE_EQ(all[2].times->compute, 2.4);
  EXPECT_DOUBLE_EQ(all[2].times->exchange, 0.3);
  EXPECT_FALSE(all[0].times.has_value());
}

TEST(comparison_statistics, a_round_that_is_not_complete_does_not_count) {
  Comparison comparison = made_up();
  comparison.results.resize(5);
  const ModelSummary summary = summarise(comparison.plan, comparison.results, 2).at(0);
  EXPECT_EQ(summary.rounds, 1);
  EXPECT_EQ(summary.configurations.at(0).seconds.most, 10);
  comparison.results.resize(2);
  EXPECT_EQ(summarise(comparison.plan, comparison.results, 2).at(0).rounds, 0);
}

TEST(comparison_statistics, nothing_is_claimed_against_a_serial_that_failed) {
  Comparison comparison = made_up();
  for (const size_t i : {0, 3})
    comparison.results[i] = {.run = comparison.results[i].run, .exit_code = 4, .message = "nan"};
  comparison.summaries = summarise(comparison.plan, comparison.results, 2);
  EXPECT_FALSE(comparison.summaries[0].configurations[1].speedup.has_value());
  EXPECT_EQ(comparison_rows(comparison, comparison.summaries[0]).at(1).speedup, "-");
}

TEST(comparison_table, shows_values_marks_oversubscription_and_fits_100_columns) {
  const Comparison comparison = made_up();
  const std::vector<ComparisonRow> rows = comparison_rows(comparison, comparison.summaries[0]);
  EXPECT_EQ(rows[1].time, "6.00 s (5.00 to 7.00)");
  EXPECT_EQ(rows[1].speedup, "2.00x");
  EXPECT_EQ(rows[1].efficiency, "100 %");
  EXPECT_EQ(rows[1].same, "yes, bit for bit");
  EXPECT_EQ(rows[2].devices, "4 replicas *");
  EXPECT_EQ(rows[2].speedup, "(2.00x)");
  EXPECT_EQ(rows[2].efficiency, "-");
  EXPECT_EQ(rows[2].same, "yes, up to rounding: final loss within 1 %, accuracy within 0.2 points");
  std::istringstream lines(terminal_tables(made_up(true)));
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
}

TEST(comparison_table, a_failure_is_told_with_its_exit_code) {
  const Comparison comparison = made_up(true);
  EXPECT_EQ(comparison_rows(comparison, comparison.summaries[0]).at(2).failure,
            "failed in 1 of 2 rounds (exit code 7): rank 1 was killed, \"<signal>\" 9");
  EXPECT_EQ(comparison.failed(), 1u);
}

TEST(comparison_table, what_accuracy_is_measured_on_is_named_everywhere) {
  Comparison comparison = made_up();
  EXPECT_EQ(comparison_header(comparison).at(5), "Validation accuracy");
  EXPECT_NE(terminal_tables(comparison).find("val. acc."), std::string::npos);
  EXPECT_NE(report_markdown(comparison).find("| Validation accuracy |"), std::string::npos);
  const std::string page = report_page(comparison, {}, "");
  EXPECT_NE(page.find(">Validation accuracy<"), std::string::npos);
  EXPECT_NE(page.find(">Validation accuracy, %<"), std::string::npos);
  comparison.plan.evaluated = "test";
  EXPECT_EQ(comparison_header(comparison).at(5), "Test accuracy");
  EXPECT_NE(terminal_tables(comparison).find("test acc."), std::string::npos);
  EXPECT_EQ(plan_of({{"--strategies", "openmp"}}).evaluated, "test");
  EXPECT_EQ(plan_of({{"--strategies", "openmp"}, {"--holdout", "9"}}).evaluated, "validation");
}

TEST(comparison_table, tells_how_many_images_there_were_rather_than_what_was_asked_for) {
  Comparison comparison = made_up();
  comparison.plan.options = {{"--limit", "9999"}, {"--holdout", "100"}};
  comparison.plan.models[0].model = kTiny;
  EXPECT_NE(heading(comparison, comparison.summaries[0]).find("2,048 training and 100 validation images, 2 rounds"),
            std::string::npos)
      << heading(comparison, comparison.summaries[0]);
  std::map<std::string, std::string> facts;
  for (const Fact& fact : shared_settings(comparison, 0)) facts[fact.name] = fact.value;
  EXPECT_EQ(facts.at("training images"), "2,048");
  EXPECT_EQ(facts.at("validation images"), "100");
  EXPECT_FALSE(facts.contains("limit"));
}

TEST(comparison_shares, are_all_of_the_time_with_batches_and_all_that_is_not_timed_as_the_last) {
  const std::vector<ConfigurationSummary> all = made_up().summaries.at(0).configurations;
  EXPECT_FALSE(time_shares(all[0]).has_value());
  const std::vector<double> shares = *time_shares(all[2]);  // of 6 seconds
  const double expected[] = {25, 5, 10, 5, 10, 5, 40};
  ASSERT_EQ(shares.size(), std::size(expected));
  for (size_t i = 0; i < shares.size(); ++i) EXPECT_NEAR(shares[i], expected[i], 1e-9) << time_part_table()[i].name;
  const Comparison comparison = made_up();
  EXPECT_NE(report_page(comparison, {}, "").find("batch norm exchange"), std::string::npos);
  EXPECT_NE(
      report_markdown(comparison).find("| replicated, 4 replicas | 25.0 | 5.0 | 10.0 | 5.0 | 10.0 | 5.0 | 40.0 |"),
      std::string::npos)
      << report_markdown(comparison);
  EXPECT_NE(comparison_plots(comparison).at(4).script.find("title \"batch norm exchange\""), std::string::npos);
}

TEST(comparison_files, csv_quotes_what_needs_it_and_has_a_row_for_each_run) {
  const std::string csv = results_csv(made_up(true));
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 7);
  EXPECT_NE(
      csv.find(
          "\n\"a < b | c, \"\"d\"\"\",synthetic,openmp,openmp-2,1,1,2,2,1,0,5,200,validation,0.2,90,,,,,,,cafe,\n"),
      std::string::npos)
      << csv;
  EXPECT_NE(csv.find(",replicated-4,1,4,4,4,2,7,,,,,,,,,,,,,\"rank 1 was killed, \"\"<signal>\"\" 9\"\n"),
            std::string::npos)
      << csv;
  std::istringstream lines(results_csv(made_up()));  // no cell with a comma but the model's name
  for (std::string line; std::getline(lines, line);)
    EXPECT_EQ(std::count(line.begin(), line.end(), ','), line.starts_with("model,") ? 22 : 23) << line;
}

TEST(comparison_plots, draw_what_was_measured_with_the_oversubscribed_set_apart) {
  const std::vector<Plot> plots = comparison_plots(made_up(true));
  ASSERT_EQ(plots.size(), 5u);
  EXPECT_EQ(plots[1].name, "speedup-custom");
  EXPECT_EQ(plots[1].script.find("$replicated"), std::string::npos) << "a configuration that failed";
  EXPECT_NE(comparison_plots(made_up())[1].script.find("oversubscribed"), std::string::npos);
}

TEST(comparison_plots, openmps_line_begins_at_serials_point_which_is_drawn_once) {
  const std::string script = comparison_plots(made_up()).at(1).script;
  EXPECT_NE(script.find("$openmp every ::1 using"), std::string::npos) << script;
  EXPECT_NE(script.find("$serial every ::0 using"), std::string::npos) << script;
}

TEST(comparison_plots, what_is_not_timed_in_parts_does_not_get_into_the_legend) {
  const std::string script = comparison_plots(made_up()).at(4).script;
  EXPECT_NE(script.find("with labels textcolor rgb \"#444444\" notitle"), std::string::npos) << script;
}

TEST(comparison_page, text_is_escaped) {
  EXPECT_EQ(html_text("a < b & \"c\" > d"), "a &lt; b &amp; &quot;c&quot; &gt; d");
}

TEST(comparison_results, the_message_of_a_failure_is_the_line_that_convoy_printed) {
  EXPECT_EQ(failure_message("noise\nconvoy: warning: w\nconvoy: rank 1 died\n  ^\n"), "rank 1 died");
  EXPECT_EQ(failure_message("Segmentation fault\n"), "Segmentation fault");
}

TEST(comparison_results, metrics_are_read_and_those_of_half_a_run_are_refused) {
  const TemporaryFolder folder;
  const auto write = [&](const std::string& text) { std::ofstream(folder / "metrics.jsonl") << text; };
  const std::string epoch =
      R"({"event":"epoch","epoch":1,"step":100,"train_loss":1,"train_accuracy":50,"validation_loss":1,"validation_accuracy":50,"seconds":9,"copy_seconds":1,"compute_seconds":2,"exchange_seconds":0.25,"reduce_seconds":0.5,"communicate_seconds":3,"update_seconds":4})"
      "\n";
  write(
      R"({"event":"step","step":50,"epoch":1,"loss":0.25,"lr":0.001})"
      "\n" +
      epoch + epoch +
      R"({"event":"summary","validation_accuracy":98.5,"validation_loss":0.06,"seconds":31.5,"samples_per_second":9615})"
      "\n");
  std::ofstream(folder / "config.json") << R"({"training_images":60000,"validation_images":1000})";
  RunResult result;
  read_run(folder.path(), result);
  EXPECT_EQ(result.losses.at(0).loss, 0.25);
  EXPECT_EQ(result.times->communicate, 6);
  EXPECT_EQ(result.times->exchange, 0.5);
  EXPECT_EQ(result.training_images, 60000);
  EXPECT_EQ(result.evaluated_images, 1000);
  EXPECT_EQ(result.accuracy, 98.5);
  EXPECT_EQ(result.seconds, 31.5);
  write(epoch);
  RunResult half;
  EXPECT_THROW(read_run(folder.path(), half), Error);
  for (const char* line :
       {"nonsense\x7F", R"({"event":"step","step":1e300,"loss":1})", R"({"event":"step","step":1,"loss":1e999})"}) {
    write(std::string(line) + "\n");
    EXPECT_THROW(read_run(folder.path(), half), Error) << line;
  }
}

}  // namespace
}  // namespace convoy
