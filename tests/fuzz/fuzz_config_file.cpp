// What --config names: TOML, or JSON where the input begins with a brace. What is taken are options of the command, with
// values that they accept.
#include <algorithm>

#include "apps/config_file.h"
#include "apps/options.h"
#include "tests/fuzz/input_file.h"
#include "tests/fuzz/target.h"
#include "tests/fuzz/targets.h"

namespace convoy::fuzz {

void fuzz_config_file(std::string_view input) {
  const std::vector<std::string> options{"--config",  "--model",   "--batch",  "--lr",
                                         "--augment", "--dry-run", "--dataset"};
  const std::filesystem::path file = write_input(input.starts_with("{") ? "a.json" : "a.toml", input);
  const GivenOptions given = with_config({{"--config", file.string()}, {"--lr", "0.5"}}, "train", options);
  require(given.at("--lr") == "0.5", "what is typed stays");
  for (const auto& [name, text] : given) {
    require(std::ranges::find(options, name) != options.end() && name != "--config", "options are the command's");
    Settings settings;
    find_option(name).set(settings, text);
  }
}

}  // namespace convoy::fuzz
