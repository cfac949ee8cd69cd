// The lines of a run's metrics.jsonl (run_log.h has the format), read back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "apps/evaluation.h"
#include "parallel/data_parallel.h"

namespace convoy {

inline constexpr const char* kMetricsFile = "metrics.jsonl";

struct LoggedStep {
  int64_t step = 0, epoch = 0;
  double loss = 0, lr = 0;
};

struct LoggedEpoch {
  int64_t epoch = 0, step = 0;
  std::optional<double> lr;  // logs of older versions have none
  double train_loss = 0, train_accuracy = 0;
  std::string evaluated;  // "test" or "validation"
  Evaluation evaluation;
  double seconds = 0;
  std::optional<StepTimes> times;
};

struct LoggedEnd {
  enum class Kind { summary, interrupted, failed } kind{};
  std::string message;                         // of a failure
  int64_t step = 0;                            // of an interruption
  double seconds = 0, samples_per_second = 0;  // not of a failure
  std::optional<Evaluation> evaluation;        // of a summary
};

// Nothing: an event that this version does not know.
using LogLine = std::variant<std::monostate, LoggedStep, LoggedEpoch, LoggedEnd>;

// `where` begins the message of the Error(data) that a line which makes no sense throws: "run/metrics.jsonl:17".
LogLine parse_log_line(const std::string& line, const std::string& where);

// Whether it tells of a step, judged by its beginning: logs consist of such lines for the most part, and some readers
// want only the others.
bool tells_of_step(const std::string& line);

}  // namespace convoy
