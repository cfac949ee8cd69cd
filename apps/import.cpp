// `convoy import`: does a file of weights from elsewhere fit a model? If so, it becomes one of Convoy's, in f32.
#include <fmt/format.h>

#include "apps/commands.h"
#include "apps/export_formats.h"
#include "apps/options.h"
#include "layers/weights.h"
#include "tensor/widen.h"

namespace convoy {

int run_import(const GivenOptions& given) {
  CHECK(given.contains("SOURCE"), "import: name the file of weights (safetensors)");
  CHECK(given.contains("--model"), "import: name the model that the weights belong to with --model");
  CHECK(given.contains("--output"), "import: name the file to write with --output FILE");
  const Settings settings = as_given(given);
  const ChosenModel chosen = choose_model(given);
  TensorFile file = read_safetensors(settings.source);
  for (auto& [name, tensor] : file.tensors) tensor = widened(tensor);
  load_weights(weights_of(*chosen.net), file, settings.source.string());
  fmt::print("weights      {} (fit {})\n", settings.source.string(), text_of(chosen));
  write_exported(find_export_format("safetensors"), settings.output, chosen);
  return 0;
}

}  // namespace convoy
