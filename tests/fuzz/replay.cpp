// Gives files to a target, each once: fuzz_replay <target> <file or folder>…
#include <cstdio>
#include <filesystem>
#include <string>

#include "tests/fuzz/input_file.h"
#include "tests/fuzz/target.h"

namespace convoy::fuzz {
namespace {

namespace fs = std::filesystem;

int replay(const Target& target, const fs::path& path) {
  if (fs::is_directory(path)) {
    int inputs = 0;
    for (const fs::directory_entry& entry : fs::directory_iterator(path)) inputs += replay(target, entry.path());
    return inputs;
  }
  const std::string input = read_output(path);
  std::printf("%s: %s, %zu bytes: ", target.name, path.c_str(), input.size());
  std::fflush(stdout);  // so that it is told which input was the last
  const std::string refusal = check_input(target, input);
  std::printf("%s\n", refusal.empty() ? "taken" : refusal.c_str());
  return 1;
}

}  // namespace
}  // namespace convoy::fuzz

int main(int argc, char** argv) {
  using namespace convoy::fuzz;
  try {
    int inputs = 0;
    for (int i = 2; i < argc; ++i) inputs += replay(find_target(argv[1]), argv[i]);
    std::printf("%d inputs\n", inputs);
    return inputs > 0 ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fuzz_replay: %s\n", error.what());
    return 2;
  }
}
