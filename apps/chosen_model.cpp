#include "apps/chosen_model.h"

#include <fmt/format.h>

#include "apps/number_text.h"
#include "apps/recipes.h"

namespace convoy {

ChosenModel choose_model(const std::string& model, const std::string& dataset) {
  const DatasetRow& row = find_dataset_row(dataset);
  const ImageExtent input{row.h, row.w, row.c};
  return {model, row, input, make_model(model, input, row.classes)};
}

ChosenModel choose_model(const GivenOptions& given) {
  GivenOptions wanted = given;
  if (!given.contains("--dataset")) {
    const auto model = given.find("--model");
    wanted["--dataset"] = "mnist";
    for (const Recipe& recipe : recipe_table()) {
      if (model != given.end() && model->second == recipe.model) {
        wanted["--dataset"] = recipe.dataset;
        break;
      }
    }
  }
  const Settings settings = resolve(wanted);
  return choose_model(settings.model, settings.dataset);
}

std::string text_of(const ChosenModel& chosen) {
  int64_t parameters = 0;
  for (const NamedVariable& parameter : chosen.net->parameters()) parameters += parameter.variable.value().count();
  return fmt::format("{} for {}, {} parameters", one_line(chosen.model), chosen.dataset.name, grouped(parameters));
}

}  // namespace convoy
