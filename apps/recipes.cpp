#include "apps/recipes.h"

#include <fmt/format.h>

namespace convoy {
namespace {

constexpr Recipe kRecipes[] = {
    {"mnist", "lenet5", "--epochs 5 --batch 64 --optimizer adam --lr 3e-3 --schedule one-cycle --augment off",
     "99 % in a minute"},
    {"mnist", "mnist-cnn", "--epochs 5 --batch 64 --optimizer adam --lr 1e-3 --schedule constant --augment off",
     "the original study"},
    {"cifar10", "cifar-cnn", "--epochs 5 --batch 64 --optimizer adam --lr 1e-3 --schedule constant --augment on",
     "the original study"},
    {"cifar10", "resnet18",
     "--epochs 5 --batch 64 --optimizer sgd --momentum 0.9 --weight-decay 5e-4 --lr 0.05 --schedule one-cycle "
     "--augment on",
     "SGD with momentum, a short run"},
    {"fashion-mnist", "lenet5", "--epochs 5 --batch 64 --optimizer adam --lr 3e-3 --schedule one-cycle --augment off",
     "as for mnist"},
    {"folder", "cifar-cnn", "--epochs 10 --batch 64 --optimizer adam --lr 1e-3 --schedule one-cycle --augment on",
     "photographs; --augment off where mirrored ones are wrong, as of letters"},
    {"synthetic", "lenet5", "--epochs 1 --batch 64 --optimizer adam --lr 3e-3 --schedule one-cycle --augment off",
     "a first run"},
};

}  // namespace

std::span<const Recipe> recipe_table() { return kRecipes; }

const Recipe* find_recipe(std::string_view dataset, std::string_view model) {
  for (const Recipe& recipe : kRecipes) {
    if (recipe.dataset == dataset && (model.empty() || recipe.model == model)) return &recipe;
  }
  return nullptr;
}

std::string default_models() {
  std::string text;
  for (const Recipe& recipe : kRecipes) {
    if (find_recipe(recipe.dataset, "") == &recipe)
      text += fmt::format("{}{} for {}", text.empty() ? "" : ", ", recipe.model, recipe.dataset);
  }
  return text;
}

std::string recipe_help() {
  std::string text = "Recipes: the defaults of a data set and model; options that you give overrule them.\n";
  for (const Recipe& recipe : kRecipes) {
    text += fmt::format("  --dataset {} --model {} ({}):\n    {}\n", recipe.dataset, recipe.model, recipe.why,
                        recipe.options);
  }
  return text + "  Any other pair: the defaults in brackets above; --augment as the data set has it.\n";
}

}  // namespace convoy
