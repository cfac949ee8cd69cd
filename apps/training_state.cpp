#include "apps/training_state.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace convoy {
namespace {

// Calls visit(name, number) for every number of a state, in either direction. What is optional is there as a whole or
// not at all: `has` says, or finds out by the name of its first number.
template <class State, class Visit, class Has>
void visit_numbers(State& state, const Visit& visit, const Has& has) {
  visit("step", state.steps);
  visit("epoch", state.epochs);
  visit("samples", state.samples);
  visit("seconds", state.seconds);
  auto& epoch = state.epoch;
  visit("epoch_loss_sum", epoch.loss);
  visit("epoch_samples", epoch.samples);
  visit("epoch_correct", epoch.correct);
  visit("epoch_seconds", epoch.seconds);
  if (has("epoch_copy_seconds", epoch.times)) {
    visit("epoch_copy_seconds", epoch.times->copy);
    visit("epoch_compute_seconds", epoch.times->compute);
    visit("epoch_exchange_seconds", epoch.times->exchange);
    visit("epoch_reduce_seconds", epoch.times->reduce);
    visit("epoch_communicate_seconds", epoch.times->communicate);
    visit("epoch_update_seconds", epoch.times->update);
  }
  if (has("evaluation_loss", state.evaluation)) {
    visit("evaluation_loss", state.evaluation->loss);
    visit("evaluation_accuracy", state.evaluation->accuracy);
  }
  if (has("best_loss", state.best)) {
    visit("best_loss", state.best->loss);
    visit("best_accuracy", state.best->accuracy);
  }
  if (has("best_epoch", state.best_epoch)) visit("best_epoch", *state.best_epoch);
}

template <class Number>
void parse(const Checkpoint& checkpoint, const char* name, Number& number) {
  const std::string& text = checkpoint.fact(name);
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stopped != end || !(number >= 0) || !std::isfinite(static_cast<double>(number)))
    fail(ErrorKind::data, "{}: '{}' is '{}', which is no such number", checkpoint.path.string(), name, printable(text));
}

}  // namespace

CheckpointFacts facts_of(const TrainingState& state) {
  CheckpointFacts facts;
  // The shortest decimals that read back as the same number.
  visit_numbers(
      state, [&](const char* name, const auto& number) { facts[name] = fmt::format("{}", number); },
      [](const char*, const auto& part) { return part.has_value(); });
  return facts;
}

TrainingState state_of(const Checkpoint& checkpoint) {
  TrainingState state;
  visit_numbers(
      state, [&](const char* name, auto& number) { parse(checkpoint, name, number); },
      [&](const char* name, auto& part) {
        const bool there = checkpoint.file.metadata.contains(name);
        if (there) part.emplace();
        return there;
      });
  return state;
}

int64_t count_of(const Checkpoint& checkpoint, const char* name) {
  int64_t number = 0;
  parse(checkpoint, name, number);
  return number;
}

}  // namespace convoy
