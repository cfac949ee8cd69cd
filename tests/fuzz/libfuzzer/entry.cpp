// Where libFuzzer enters, with inputs for the target that $CONVOY_FUZZ_TARGET names.
#include <cstdint>
#include <cstdlib>

#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t count) {
  using namespace convoy::fuzz;
  static const char* const name = std::getenv("CONVOY_FUZZ_TARGET");
  require(name != nullptr, "$CONVOY_FUZZ_TARGET names a target");
  static const Target& target = find_target(name);
  check_input(target, {reinterpret_cast<const char*>(bytes), count});
  return 0;
}
