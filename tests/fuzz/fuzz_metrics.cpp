// metrics.jsonl of a run, as a comparison reads it. What is taken is of a training that took time.
#include <cmath>

#include "apps/comparison_results.h"
#include "tests/fuzz/input_file.h"
#include "tests/fuzz/target.h"
#include "tests/fuzz/targets.h"

namespace convoy::fuzz {

void fuzz_metrics(std::string_view input) {
  static const std::filesystem::path config =
      write_input("run/config.json", R"({"training_images": 64, "test_images": 10})");
  write_input("run/metrics.jsonl", input);
  RunResult result;
  read_run(config.parent_path(), result);
  require(result.seconds > 0 && std::isfinite(result.seconds), "the training took time");
  require(result.training_images == 64 && result.evaluated_images == 10, "images are those of config.json");
}

}  // namespace convoy::fuzz
