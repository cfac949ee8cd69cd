#include "apps/chosen_model.h"

#include <fmt/format.h>

#include "apps/data_request.h"
#include "apps/number_text.h"
#include "apps/recipes.h"

namespace convoy {

namespace {

ChosenModel choose_model(const Settings& settings, const DatasetForm& form) {
  const ImageExtent input{form.h, form.w, form.c};
  return {.model = settings.model,
          .dataset = settings.dataset,
          .input = input,
          .classes = form.classes,
          .net = make_model(settings.model, input, form.classes),
          .trained_on = {}};
}

}  // namespace

ChosenModel choose_model(const RunConfig& run) {
  if (!run.facts.input) return choose_model(run.settings, form_of(run.settings));
  const ModelInput& input = *run.facts.input;
  ChosenModel chosen =
      choose_model(run.settings, {input.h, input.w, input.c, static_cast<int64_t>(input.classes.size())});
  chosen.trained_on = input;
  return chosen;
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
  return choose_model(settings, form_of(settings));
}

std::string text_of(const ChosenModel& chosen) {
  return fmt::format("{} for {}, {} parameters", one_line(chosen.model), chosen.dataset,
                     grouped(count_of_parameters(*chosen.net)));
}

}  // namespace convoy
