// config.json of a run. What is taken is the same once written and read again, and its run can be listed.
#include "apps/run_record.h"
#include "tests/fuzz/input_file.h"
#include "tests/fuzz/target.h"
#include "tests/fuzz/targets.h"

namespace convoy::fuzz {
namespace {

// Without the line that tells the time.
std::string text_of(const RunConfig& config) {
  std::string text = config_text(config.settings, "run", config.facts);
  const size_t began = text.find("  \"began\"");
  return text.erase(began, text.find('\n', began) + 1 - began);
}

}  // namespace

void fuzz_config(std::string_view input) {
  const std::filesystem::path run = write_input("read/config.json", input).parent_path();
  const RunConfig config = read_config(run);
  require(config.text == input, "the text is the file's");
  check_same_config(config.text, run, config.text, "itself");

  const std::string text = text_of(config);
  const RunConfig again = read_config(write_input("written/config.json", text).parent_path());
  require(text_of(again) == text, "what is read back is written as before");

  write_input(
      "read/metrics.jsonl",
      R"({"event":"epoch","epoch":1,"step":3,"train_loss":1,"train_accuracy":2,"test_loss":3,"test_accuracy":4,"seconds":5})");
  const RunRecord record = read_run_record(run);
  require(record.steps_per_epoch() > 0 && record.planned_epochs() > 0, "a training has steps and epochs");
  const std::optional<double> rate = record.samples_per_second();
  require(!rate || *rate >= 0, "no rate is negative");
}

}  // namespace convoy::fuzz
