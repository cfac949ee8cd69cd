// Descriptions of models, of at most a million weights. What is taken has no more, under names of their own.
#include <set>
#include <string>

#include "layers/models.h"
#include "tests/fuzz/target.h"
#include "tests/fuzz/targets.h"

namespace convoy::fuzz {

void fuzz_description(std::string_view input) {
  constexpr int64_t kMostWeights = 1'000'000;
  const std::unique_ptr<Sequential> model = parse_description(input, {28, 28, 1}, 10, "description", kMostWeights);
  std::set<std::string> names;
  int64_t weights = 0;
  for (const auto& list : {model->parameters(), model->buffers()}) {
    for (const NamedVariable& entry : list) {
      weights += entry.variable.value().count();
      require(names.insert(entry.name).second, "every name is given once");
    }
  }
  require(weights <= kMostWeights, "there are no more weights than may be");
}

}  // namespace convoy::fuzz
