// `convoy summary`: the layers of a model.
#include <fmt/format.h>

#include <algorithm>

#include "apps/chosen_model.h"
#include "apps/commands.h"
#include "apps/layer_table.h"
#include "apps/number_text.h"

namespace convoy {

int run_summary(const GivenOptions& given) {
  const ChosenModel chosen = choose_model(given);
  const LayerTable table = tabulate(*chosen.net, chosen.input);

  size_t names = 5, layers = 5, shapes = 6;
  for (const LayerRow& row : table.rows) {
    names = std::max(names, row.name.size());
    layers = std::max(layers, row.description.size());
    shapes = std::max(shapes, row.output.text().size());
  }
  fmt::print("{} on {} ({}x{}x{}, {} classes)\n\n", one_line(chosen.model), chosen.dataset, chosen.input.h,
             chosen.input.w, chosen.input.c, chosen.classes);
  fmt::print("{:<{}}  {:<{}}  {:<{}}  {:>12}  {:>14}\n", "name", names, "layer", layers, "output", shapes, "parameters",
             "multiply-adds");
  for (const LayerRow& row : table.rows) {
    fmt::print("{:<{}}  {:<{}}  {:<{}}  {:>12}  {:>14}\n", row.name, names, row.description, layers, row.output, shapes,
               grouped(row.parameters), grouped(row.multiply_adds));
  }
  fmt::print("{:<{}}  {:<{}}  {:<{}}  {:>12}  {:>14}\n", "total", names, "", layers, "", shapes,
             grouped(table.parameters), grouped(table.multiply_adds));
  fmt::print(
      "\nShapes and multiply-adds are of one sample's forward pass; a training step costs about three times "
      "as many.\n");
  return 0;
}

}  // namespace convoy
