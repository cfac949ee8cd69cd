// metrics.csv, steps.csv and TensorBoard's events follow the lines of a log, and are made again from them.
#include "apps/log_copies.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>

#include "apps/event_file.h"
#include "tensor/error.h"
#include "tests/apps/run_convoy.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kLog = {
    R"({"event":"step","step":1,"epoch":1,"loss":2.3,"lr":0.001})",
    R"({"event":"step","step":2,"epoch":1,"loss":1.2345678,"lr":1e-05})",
    R"({"event":"epoch","epoch":1,"step":2,"lr":1e-05,"train_loss":1.5,"train_accuracy":50.5,"validation_loss":1.25,"validation_accuracy":60.123456789012344,"seconds":0.5})",
    R"({"event":"epoch","epoch":2,"step":4,"train_loss":1,"train_accuracy":70,"test_loss":2,"test_accuracy":3,"seconds":4,"copy_seconds":1,"compute_seconds":2,"exchange_seconds":3,"reduce_seconds":4,"communicate_seconds":5,"update_seconds":6})",
    R"({"event":"summary","test_accuracy":3,"test_loss":2,"seconds":4.5,"samples_per_second":100})"};

std::string text_of(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

fs::path events_in(const fs::path& run) {
  for (const fs::directory_entry& entry : fs::directory_iterator(run)) {
    if (entry.path().filename().string().starts_with(kEventFilePrefix)) return entry.path();
  }
  return {};
}

std::vector<std::string> files_of(const TemporaryFolder& run) {
  return {read_text(run / "metrics.csv"), read_text(run / "steps.csv"), read_text(events_in(run.path()))};
}

TEST(log_copies, tables_have_a_row_for_each_epoch_and_step_with_the_digits_of_the_log) {
  const TemporaryFolder run;
  LogCopies copies = LogCopies::create(run.path());
  for (const std::string& line : kLog) copies.add(line);
  EXPECT_EQ(read_text(run / "steps.csv"), "step,epoch,loss,lr\n1,1,2.3,0.001\n2,1,1.2345678,1e-05\n");
  EXPECT_EQ(read_text(run / "metrics.csv"),
            "epoch,step,lr,train_loss,train_accuracy_percent,evaluated_on,loss,accuracy_percent,training_seconds,"
            "copy_seconds,compute_seconds,exchange_seconds,reduce_seconds,communicate_seconds,update_seconds\n"
            "1,2,1e-05,1.5,50.5,validation,1.25,60.123456789012344,0.5,,,,,,\n"
            "2,4,,1,70,test,2,3,4,1,2,3,4,5,6\n");
}

TEST(log_copies, events_are_scalars_over_the_steps) {
  const TemporaryFolder run;
  LogCopies copies = LogCopies::create(run.path());
  for (const std::string& line : kLog) copies.add(line);
  const std::string bytes = read_text(events_in(run.path()));
  const std::vector<double> times = times_of_records(bytes);
  ASSERT_EQ(times.size(), 1 + 4u);
  EXPECT_EQ(bytes,
            event_file_head(times[0]) + scalars_record(times[1], 1, {{"loss/train", 2.3f}, {"lr", 0.001f}}) +
                scalars_record(times[2], 2, {{"loss/train", 1.2345678f}, {"lr", 1e-5f}}) +
                scalars_record(times[3], 2,
                               {{"loss/train_epoch", 1.5f},
                                {"loss/validation", 1.25f},
                                {"accuracy/train_epoch", 50.5f},
                                {"accuracy/validation", static_cast<float>(60.123456789012344)}}) +
                scalars_record(
                    times[4], 4,
                    {{"loss/train_epoch", 1}, {"loss/test", 2}, {"accuracy/train_epoch", 70}, {"accuracy/test", 3}}));
}

TEST(log_copies, restoring_cuts_them_back_to_a_shorter_log_and_goes_on_as_if_never_stopped) {
  for (size_t kept = 0; kept <= kLog.size(); ++kept) {
    SCOPED_TRACE(kept);
    const TemporaryFolder run;
    {
      LogCopies copies = LogCopies::create(run.path());
      for (const std::string& line : kLog) copies.add(line);
    }
    const std::vector<std::string> all = files_of(run);
    const std::vector<double> times = times_of_records(all[2]);
    LogCopies copies = LogCopies::restore(run.path(), text_of({kLog.begin(), kLog.begin() + static_cast<long>(kept)}));
    const std::vector<std::string> cut = files_of(run);
    for (size_t i = 0; i < all.size(); ++i) {
      EXPECT_TRUE(all[i].starts_with(cut[i]));
      EXPECT_LE(cut[i].size(), all[i].size());
    }
    for (size_t i = kept; i < kLog.size(); ++i) copies.add(kLog[i]);
    const std::vector<std::string> again = files_of(run);
    EXPECT_EQ(again[0], all[0]);
    EXPECT_EQ(again[1], all[1]);
    EXPECT_EQ(again[2].size(), all[2].size());
    const std::vector<double> new_times = times_of_records(again[2]);
    ASSERT_EQ(new_times.size(), times.size());
    const size_t old_records = 1 + std::min<size_t>(kept, 4);
    EXPECT_TRUE(std::equal(times.begin(), times.begin() + static_cast<long>(old_records), new_times.begin()));
    EXPECT_EQ(run.names().size(), 3u);
  }
}

TEST(log_copies, missing_and_damaged_ones_are_made_again) {
  const TemporaryFolder run;
  {
    LogCopies copies = LogCopies::create(run.path());
    for (const std::string& line : kLog) copies.add(line);
  }
  const std::vector<std::string> all = files_of(run);
  fs::remove(run / "metrics.csv");
  std::ofstream(run / "steps.csv") << "step,epoch,loss,lr\n1,1,2.4,0.001\n2,1,1.23";
  std::string events = all[2];
  events[90] = static_cast<char>(events[90] ^ 1);
  std::ofstream(events_in(run.path()), std::ios::binary) << events;
  LogCopies::restore(run.path(), text_of(kLog));
  const std::vector<std::string> again = files_of(run);
  EXPECT_EQ(again[0], all[0]);
  EXPECT_EQ(again[1], all[1]);
  EXPECT_EQ(times_of_records(again[2]).size(), 5u);
  EXPECT_EQ(times_of_records(again[2])[0], times_of_records(all[2])[0]);
}

TEST(log_copies, a_full_disk_is_told_by_the_files_name_and_leaves_whole_rows) {
  const TemporaryFolder run;
  LogCopies copies = LogCopies::create(run.path());
  const auto size = fs::file_size(run / "metrics.csv");
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit limit{.rlim_cur = size + 10, .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &limit);
  std::string told;
  try {
    copies.add(kLog[2]);
  } catch (const Error& error) {
    told = error.what();
    EXPECT_EQ(error.kind(), ErrorKind::io);
  }
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, SIG_DFL);
  EXPECT_EQ(told, (run / "metrics.csv").string() + ": cannot be written: File too large");
  EXPECT_EQ(fs::file_size(run / "metrics.csv"), size);
}

TEST(log_copies, a_line_that_makes_no_sense_is_told_by_its_number) {
  const TemporaryFolder run;
  try {
    LogCopies::restore(run.path(), kLog[0] + "\nnonsense\n");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), (run / "metrics.jsonl").string() + ":2: is not a JSON object");
  }
  EXPECT_TRUE(run.names().empty());
}

}  // namespace
}  // namespace convoy
