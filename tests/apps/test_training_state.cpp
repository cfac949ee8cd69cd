// The state of a training as texts and back.
#include "apps/training_state.h"

#include <gtest/gtest.h>

#include "tensor/error.h"

namespace convoy {
namespace {

Checkpoint with(const CheckpointFacts& facts) { return {.path = "a/b", .file = {.tensors = {}, .metadata = facts}}; }

TEST(training_state, keeps_every_bit) {
  TrainingState state{.steps = 938, .epochs = 2, .samples = 60001, .seconds = 1.0 / 3};
  state.epoch = {.loss = 0.1 + 0.2, .samples = 7, .correct = 3, .seconds = 5e-324};
  state.epoch.times = StepTimes{.copy = 1e-9, .compute = 2, .exchange = 3, .reduce = 4, .communicate = 5, .update = 6};
  state.evaluation = Evaluation{.loss = 1e300, .accuracy = 100.0 / 3};
  const TrainingState back = state_of(with(facts_of(state)));
  EXPECT_EQ(back.steps, 938);
  EXPECT_EQ(back.epochs, 2);
  EXPECT_EQ(back.samples, 60001);
  EXPECT_EQ(back.seconds, 1.0 / 3);
  EXPECT_EQ(back.epoch.loss, 0.1 + 0.2);
  EXPECT_EQ(back.epoch.seconds, 5e-324);
  ASSERT_TRUE(back.epoch.times.has_value());
  EXPECT_EQ(back.epoch.times->copy, 1e-9);
  EXPECT_EQ(back.epoch.times->update, 6);
  ASSERT_TRUE(back.evaluation.has_value());
  EXPECT_EQ(back.evaluation->loss, 1e300);
  EXPECT_EQ(back.evaluation->accuracy, 100.0 / 3);
  EXPECT_FALSE(back.best.has_value());
  EXPECT_FALSE(back.best_epoch.has_value());
  state.best = state.evaluation;
  state.best_epoch = 3;
  EXPECT_EQ(state_of(with(facts_of(state))).best_epoch, 3);
}

TEST(training_state, refuses_what_is_no_number) {
  const auto refusal = [](const char* name, const char* text) {
    CheckpointFacts facts = facts_of({});
    facts[name] = text;
    try {
      state_of(with(facts));
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_EQ(refusal("step", "3x"), "a/b: 'step' is '3x', which is no such number");
  EXPECT_EQ(refusal("step", "-3"), "a/b: 'step' is '-3', which is no such number");
  EXPECT_EQ(refusal("seconds", "nan"), "a/b: 'seconds' is 'nan', which is no such number");
  EXPECT_EQ(refusal("best_loss", "1"), "a/b: does not tell 'best_accuracy'");
}

}  // namespace
}  // namespace convoy
