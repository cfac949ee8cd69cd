// Help is broken at spaces, and goes on where its last column begins.
#include "apps/help_text.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <cstdio>

namespace convoy {
namespace {

TEST(help_text, lines_that_fit_stay_as_they_are) {
  EXPECT_EQ(wrapped("a  b\n\n  c\n", 10), "a  b\n\n  c\n");
  EXPECT_EQ(wrapped("", 10), "");
}

TEST(help_text, a_broken_line_goes_on_below_its_last_column) {
  EXPECT_EQ(wrapped("  --lr X   how far each step of the training goes along the gradient\n", 40),
            "  --lr X   how far each step of the\n"
            "           training goes along the\n"
            "           gradient\n");
}

TEST(help_text, prose_goes_on_at_the_left_and_words_that_are_too_long_stay_whole) {
  EXPECT_EQ(wrapped("one two three\n", 8), "one two\nthree\n");
  EXPECT_EQ(wrapped("a 0123456789 b\n", 8), "a\n0123456789\nb\n");
}

TEST(help_text, an_option_stays_with_its_value) {
  EXPECT_EQ(wrapped("    --epochs 5 --optimizer adam --lr 0.1\n", 30),
            "    --epochs 5\n    --optimizer adam --lr 0.1\n");
}

TEST(help_text, what_is_no_terminal_has_80_columns) {
  EXPECT_GE(help_columns(), 40u);
  EXPECT_LE(help_columns(), 100u);
}

TEST(help_text, only_a_terminal_gets_prose_wrapped) {
  const std::string text = "one two three four five six seven eight nine ten\n";
  int screen = -1, end = -1;
  const winsize size{.ws_row = 24, .ws_col = 40, .ws_xpixel = 0, .ws_ypixel = 0};
  ASSERT_EQ(openpty(&screen, &end, nullptr, nullptr, &size), 0);
  std::fflush(stdout);
  const int before = dup(STDOUT_FILENO);
  dup2(end, STDOUT_FILENO);
  const std::string on_terminal = wrapped_on_terminal(text);
  const int file = open("/dev/null", O_WRONLY);
  dup2(file, STDOUT_FILENO);
  const std::string elsewhere = wrapped_on_terminal(text);
  dup2(before, STDOUT_FILENO);
  for (const int used : {before, file, screen, end}) close(used);
  EXPECT_EQ(on_terminal, "one two three four five six seven eight\nnine ten\n");
  EXPECT_EQ(elsewhere, text);
}

}  // namespace
}  // namespace convoy
