// Models by name and models from a description.
//
//   auto net = make_model("resnet18", {32, 32, 3}, 10);
//   auto own = make_model("conv 32 3x3 pad 1; bn; relu; maxpool 2; flatten; linear 10", {28, 28, 1}, 10);
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "layers/layers.h"

namespace convoy {

struct ModelRow {
  const char* name;
  const char* help;
  std::unique_ptr<Module> (*build)(ImageExtent input, int64_t classes);
};

// mnist-cnn, cifar-cnn, lenet5, resnet18: the command line's choices and help come from this table.
std::span<const ModelRow> model_table();

// `model` is a name from the table, "@FILE" (a file that holds a description), or a description (anything
// with a space, ';' or '{'). Not yet initialised. Throws Error(usage): an unknown name with the nearest known
// one; a description that does not parse or whose shapes do not fit, pointing at line and column; one that
// does not end in [N, classes].
std::unique_ptr<Module> make_model(std::string_view model, ImageExtent input, int64_t classes);

// How many f32 weights a training on this machine has room for: with their gradients and Adam's two moments they fill its memory.
int64_t weights_that_fit();

// Parses a description (grammar in description_help()) into a Sequential. Errors begin with `source`, line
// and column:
//   model description:1:14: unknown layer 'rellu', did you mean 'relu'? Known: …
//     conv 32 3x3; rellu; flatten; linear 10
//                  ^
// A model of more than `most_weights` is refused before it takes that memory.
std::unique_ptr<Sequential> parse_description(std::string_view text, ImageExtent input, int64_t classes,
                                              std::string_view source = "model description",
                                              int64_t most_weights = weights_that_fit());

// The grammar, one line per layer keyword, generated from the parser's own table.
std::string description_help();

}  // namespace convoy
