// The live line, on a terminal of the test's own.
#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <cstdlib>

#include "apps/progress.h"

namespace convoy {
namespace {

// While one lives, stderr is a terminal 120 columns wide.
class Terminal {
 public:
  Terminal() {
    const winsize size{.ws_row = 24, .ws_col = 120, .ws_xpixel = 0, .ws_ypixel = 0};
    int end = -1;
    EXPECT_EQ(openpty(&screen_, &end, nullptr, nullptr, &size), 0);
    stderr_ = dup(STDERR_FILENO);
    dup2(end, STDERR_FILENO);
    close(end);
    setenv("TERM", "xterm", 1);
  }
  ~Terminal() {
    dup2(stderr_, STDERR_FILENO);
    close(stderr_);
    close(screen_);
  }
  // What was written to it since the last call; at most a few lines.
  std::string take() {
    char text[4096];
    const ssize_t count = read(screen_, text, sizeof text);
    return {text, static_cast<size_t>(count < 0 ? 0 : count)};
  }

 private:
  int screen_ = -1, stderr_ = -1;
};

// The last steps of epochs, at which the line is always painted.
StepReport report(int64_t step, double seconds) {
  return {.step = step, .epoch = step, .loss = 0.5f, .lr = 0.1f, .samples = 64, .correct = 32, .seconds = seconds};
}
const StepCount kFourEpochsOfOneStep{.per_epoch = 1, .total = 4};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(Progress, rate_counts_from_the_start) {
  Terminal terminal;
  Progress progress(kFourEpochsOfOneStep);
  progress.step(report(1, 2));
  EXPECT_TRUE(has(terminal.take(), "32 samples/s  ETA 0:06  loss 0.5000  acc 50.0 %"));
  progress.step(report(2, 3));
  EXPECT_TRUE(has(terminal.take(), "43 samples/s  ETA 0:03"));
}

// Its seconds go on from those of the process before, which may have been slower or on another machine.
TEST(Progress, rate_of_a_resumed_training_is_of_this_process_alone) {
  Terminal terminal;
  Progress progress(kFourEpochsOfOneStep);
  progress.step(report(2, 1000));
  EXPECT_TRUE(has(terminal.take(), " 0 samples/s"));  // of its first step only the end is known
  progress.step(report(3, 1004));
  EXPECT_TRUE(has(terminal.take(), " 16 samples/s"));
}

}  // namespace
}  // namespace convoy
