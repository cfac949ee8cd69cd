// metrics.jsonl of a run, as reports and comparisons read it. What a comparison takes is of a training that took time.
#include <cmath>

#include "apps/comparison_results.h"
#include "apps/log_copies.h"
#include "apps/run_record.h"
#include "tests/fuzz/input_file.h"
#include "tests/fuzz/target.h"
#include "tests/fuzz/targets.h"

namespace convoy::fuzz {

void fuzz_metrics(std::string_view input) {
  static const std::filesystem::path config =
      write_input("run/config.json", config_text(resolve({{"--dataset", "synthetic"}}), "run", {64, 10, 1, {}}));
  write_input("run/metrics.jsonl", input);
  // Its last line may be torn, which for a comparison is an error.
  const RunRecord record = read_run_record(config.parent_path());
  require(record.samples_per_second().value_or(0) >= 0, "no rate is negative");
  LogCopies::restore(config.parent_path(), std::string(input.substr(0, input.rfind('\n') + 1)));

  RunResult result;
  read_run(config.parent_path(), result);
  require(result.seconds > 0 && std::isfinite(result.seconds), "the training took time");
  require(result.training_images == 64 && result.evaluated_images == 10, "images are those of config.json");
}

}  // namespace convoy::fuzz
