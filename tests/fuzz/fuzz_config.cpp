// config.json of a run. What is taken is the same once written and read again.
#include "apps/run_config.h"
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
}

}  // namespace convoy::fuzz
