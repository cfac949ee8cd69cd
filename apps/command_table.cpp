#include "apps/command_table.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/commands.h"
#include "apps/export_formats.h"
#include "apps/recipes.h"
#include "data/dataset.h"
#include "data/write_dataset.h"
#include "layers/models.h"
#include "tensor/error.h"

namespace convoy {
namespace {

constexpr const char* kConfigHelp =
    "take options from this file: a .toml with lines like batch = 128, or the config.json of a run, as far as they are "
    "options here; those that you give overrule it";

std::string train_footer() { return recipe_help() + "\n" + description_help(); }
std::string no_footer() { return ""; }

std::vector<CommandOption> all_options() {
  std::vector<CommandOption> options;
  for (const OptionRow& row : option_table()) options.push_back({row.name});
  return options;
}

// Its own, and those of train that it hands on.
std::vector<CommandOption> compare_options() {
  std::vector<CommandOption> options;
  for (const OptionRow& row : comparison_option_table()) options.push_back({row.name});
  options.insert(options.end(),
                 {{"--config", kConfigHelp},
                  {"--reduce"},
                  {"--shards"},
                  {"--bucket-mb"},
                  {"--dataset", "for all models; without it the one that each is meant for (recipes of train)"},
                  {"--data"},
                  {"--holdout"},
                  {"--limit"},
                  {"--image-size"},
                  {"--val-split"},
                  {"--skip-bad-images"},
                  {"--workers", "threads of each process that prepare batches ahead"},
                  {"--epochs"},
                  {"--batch", "global: images per optimizer step of all workers together"},
                  {"--seed"},
                  {"--run", "new folder for the report and the runs; without it runs/compare-<time>"}});
  return options;
}

}  // namespace

const std::vector<Command>& command_table() {
  static const std::vector<Command> table = {
      {"train", "train a model", all_options(), train_footer, run_train},
      {"compare", "train under every parallel strategy, and report speed-up and equality", compare_options(), no_footer,
       run_compare},
      {"eval",
       "loss and accuracy of saved weights, by class, too",
       {{"--config", kConfigHelp},
        {"--model"},
        {"--init",
         "required: the weights to evaluate (safetensors with PyTorch's names); or the folder of a run, whose "
         "settings are taken where no others are given"},
        {"--dataset"},
        {"--data"},
        {"--image-size"},
        {"--val-split"},
        {"--skip-bad-images"},
        {"--holdout", "evaluate the last N training images instead of the test set"},
        {"--batch", "images evaluated at a time; changes the speed only"},
        {"--seed", "of synthetic data and the split of folders"},
        {"--device"},
        {"--precision"},
        {"--conv-algo"},
        {"--threads"},
        {"--workers"},
        {"--logits"},
        {"--confusion"},
        {"--mistakes"},
        {"--count"}},
       description_help,
       run_eval},
      {"predict",
       "what a network takes pictures for",
       {{"IMAGE"},
        {"--init",
         "required: the folder of the run that trained it, or one of its checkpoints; or weights alone "
         "(safetensors), with --model and --dataset"},
        {"--top"},
        {"--json",
         R"(an object a line: {"image": "cat.jpg", "predictions": [{"class": "cat", "probability": 0.98}, ...]})"},
        {"--model"},
        {"--dataset", "what it was trained on, where --init does not tell" + choices(dataset_table())},
        {"--data"},
        {"--image-size"},
        {"--val-split"},
        {"--skip-bad-images"},
        {"--seed", "of the split of folders"},
        {"--batch", "images at a time; changes the speed only"},
        {"--device"},
        {"--precision"},
        {"--conv-algo"},
        {"--threads"}},
       description_help,
       run_predict},
      {"runs",
       "list trainings: how far they came, their accuracy, and the best on each data set",
       {{"FOLDER"}, {"--json", "print a JSON array for programs"}},
       no_footer,
       run_runs},
      {"report",
       "one HTML page of trainings: curves over each other, results, and the settings in which they differ",
       {{"RUN"}, {"--output", "the page to write; without it report.html"}},
       no_footer,
       run_report},
      {"find-lr",
       "which learning rates are worth training with: a short range test, and a picture",
       {{"--config"},
        {"--model"},
        {"--init"},
        {"--dataset"},
        {"--data"},
        {"--image-size"},
        {"--val-split"},
        {"--skip-bad-images"},
        {"--holdout", "the last N training images are left out"},
        {"--limit"},
        {"--augment"},
        {"--shuffle"},
        {"--optimizer"},
        {"--momentum"},
        {"--nesterov"},
        {"--weight-decay"},
        {"--clip-norm"},
        {"--label-smoothing"},
        {"--batch", "images per step"},
        {"--steps", "steps over which the rate grows from 1e-7 to 10; without it 200"},
        {"--seed"},
        {"--device"},
        {"--precision"},
        {"--conv-algo"},
        {"--graph"},
        {"--threads"},
        {"--workers"},
        {"--run", "new folder for the curve and its picture; without it runs/find-lr-<time>"}},
       train_footer,
       run_find_lr},
      {"summary",
       "the layers of a model: shapes, parameters, multiply-adds",
       {{"--model"},
        {"--image-size"},
        {"--dataset", "whose images the model gets; without it the first with a recipe for the model, else mnist" +
                          choices(dataset_table())}},
       description_help,
       run_summary},
      {"export",
       "weights or a network for PyTorch, numpy, ONNX Runtime (docs/interchange.md)",
       {{"SOURCE"},
        {"--model", "with a file of weights: the model they belong to, a name, a description of layers or @FILE" +
                        choices(model_table())},
        {"--dataset", "whose images the model gets, as in summary" + choices(dataset_table())},
        {"--image-size"},
        {"--format", "what to write; without it FILE's ending says" + choices(export_format_table())},
        {"--output"}},
       description_help,
       run_export},
      {"import",
       "check weights from elsewhere against a model, and make Convoy's of them (docs/interchange.md)",
       {{"SOURCE", "a file of weights (safetensors with PyTorch's names; F32, F16, BF16 or F64)"},
        {"--model", "required: the model they belong to, a name, a description of layers or @FILE (grammar below)" +
                        choices(model_table())},
        {"--dataset", "whose images the model gets, as in summary" + choices(dataset_table())},
        {"--image-size"},
        {"--output"}},
       description_help,
       run_import},
      {"info", "this machine and this build", {}, no_footer, run_info},
      {"data list",
       "the data sets, where they are, and whether they are the official files",
       {{"--data"}},
       no_footer,
       run_data_list},
      {"data fetch",
       "download a data set, or go on where that was interrupted",
       {{"NAME"},
        {"--mirror"},
        {"--data", "folder to put it into, in a folder of its own; else $CONVOY_DATA, then the user cache"}},
       no_footer,
       run_data_fetch},
      {"data verify",
       "are these the official files? By their SHA-256; without a name all data sets that are here",
       {{"NAME"}, {"--data"}},
       no_footer,
       run_data_verify},
      {"data show",
       "training images with the names of their classes, as a picture",
       {{"NAME", "the data set; without it mnist if it is found, else synthetic" + choices(dataset_table())},
        {"--count", "images on the sheet, as many of each class; without it 100"},
        {"--output", "the picture (PNG); without it <data set>.png"},
        {"--data"},
        {"--image-size"},
        {"--val-split"},
        {"--skip-bad-images"},
        {"--seed", "of synthetic data and the split of folders"}},
       no_footer,
       run_data_show},
      {"data convert",
       "a data set as files that others read, too",
       {{"NAME", "the data set" + choices(dataset_table())},
        {"OUT"},
        {"--format", "required: of the files" + choices(dataset_format_table())},
        {"--data"},
        {"--image-size"},
        {"--val-split"},
        {"--skip-bad-images"},
        {"--seed", "of synthetic data and the split of folders"}},
       no_footer,
       run_data_convert},
      {"completion",
       "make a shell complete commands and options: source <(convoy completion bash)",
       {{"SHELL"}},
       no_footer,
       run_completion},
      {"manual", "the manual page: convoy manual | man -l -", {}, no_footer, run_manual},
  };
  return table;
}

std::string group_of(const Command& command) {
  const size_t space = command.name.find(' ');
  return space == std::string::npos ? "" : command.name.substr(0, space);
}

std::string own_name(const Command& command) { return command.name.substr(command.name.find(' ') + 1); }

const char* help_of_group(const std::string& name) {
  CHECK(name == "data", "commands: there is no group '{}'", name);
  return "what there is to train on";
}

std::string default_text(const OptionRow& row) {
  const nlohmann::ordered_json value = row.default_shown ? row.get(Settings{}) : nullptr;
  return value.is_null() ? "" : value.is_string() ? value.get<std::string>() : value.dump();
}

std::string help_of(const CommandOption& option) {
  return option.help.empty() ? find_option(option.name).help : option.help;
}

}  // namespace convoy
