// What mpirun prints, as Open MPI 4.1 does: who is to blame, and what is passed on.
#include "apps/mpirun_output.h"

#include <gtest/gtest.h>

namespace convoy {
namespace {

struct Heard {
  std::string passed_on;
  std::optional<FailedRank> failed;
  bool rank_told;
};

// In pieces of 7 bytes, as they might come through a pipe.
Heard hear(const std::string& text) {
  Heard heard;
  MpirunOutput output([&](std::string_view bytes) { heard.passed_on += bytes; });
  for (size_t i = 0; i < text.size(); i += 7) output.add(std::string_view(text).substr(i, 7));
  output.finish();
  heard.failed = output.failed_rank();
  heard.rank_told = output.rank_told();
  return heard;
}

const std::string kRule(74, '-');

TEST(MpirunOutput, lines_of_ranks_are_passed_on_whole) {
  const Heard heard = hear("convoy: warning: a small one\none\ntwo");
  EXPECT_EQ(heard.passed_on, "convoy: warning: a small one\none\ntwo");
  EXPECT_FALSE(heard.failed);
  EXPECT_FALSE(heard.rank_told);
}

TEST(MpirunOutput, a_signal_is_understood_and_the_first_counts) {
  const auto banner = [](const char* rank, const char* signal) {
    return kRule + "\nmpirun noticed that process rank " + rank + " with PID 0 on node vm exited on signal " + signal +
           ".\n" + kRule + "\n";
  };
  const Heard heard = hear("before\n" + banner("13", "9 (Killed)") + banner("0", "15 (Terminated)"));
  EXPECT_EQ(heard.passed_on, "before\n");
  ASSERT_TRUE(heard.failed);
  EXPECT_EQ(heard.failed->rank, 13);
  EXPECT_EQ(heard.failed->signal, 9);
}

TEST(MpirunOutput, an_exit_code_is_understood) {
  const Heard heard =
      hear(kRule +
           "\nPrimary job  terminated normally, but 1 process returned\na non-zero exit code. Per user-direction, "
           "the job has been aborted.\n" +
           kRule + "\nconvoy: rank 2 on vm: out of memory\n" + kRule +
           "\nmpirun detected that one or more processes exited with non-zero status, thus causing\nthe job to be "
           "terminated. The first process to do so was:\n\n  Process name: [[62219,1],2]\n  Exit code:    6\n" +
           kRule + "\n");
  EXPECT_EQ(heard.passed_on, "convoy: rank 2 on vm: out of memory\n");
  EXPECT_TRUE(heard.rank_told);
  ASSERT_TRUE(heard.failed);
  EXPECT_EQ(heard.failed->rank, 2);
  EXPECT_EQ(heard.failed->signal, 0);
  EXPECT_EQ(heard.failed->exit_code, 6);
}

TEST(MpirunOutput, what_follows_a_death_is_not_passed_on) {
  EXPECT_EQ(hear("[vm:23900] Read -1, expected 262144, errno = 3\nmpirun: Forwarding signal 10 to job\n\n").passed_on,
            "");
}

TEST(MpirunOutput, reports_of_the_librarys_signal_handler_are_not_passed_on) {
  EXPECT_EQ(hear("[vm:15] *** Process received signal ***\n[vm:15] Signal: Segmentation fault (11)\n"
                 "[vm:15] Signal code: Address not mapped (1)\n[vm:15] Failing at address: 0x8\n"
                 "[vm:15] [ 0] /lib/libc.so.6(+0x3bf90)[0x7f0]\n[vm:15] *** End of error message ***\n[vm:15] mine\n")
                .passed_on,
            "[vm:15] mine\n");
}

}  // namespace
}  // namespace convoy
