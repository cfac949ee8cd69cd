// Help is broken at spaces, and goes on where its last column begins.
#include "apps/help_text.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace convoy
