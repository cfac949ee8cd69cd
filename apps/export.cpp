// `convoy export`: weights, or a whole network, for other programs.
#include <fmt/format.h>

#include "apps/commands.h"
#include "apps/export_formats.h"
#include "apps/options.h"
#include "apps/saved_model.h"

namespace convoy {
namespace {

ChosenModel choose(const SavedModel& saved, const GivenOptions& given) {
  for (const char* option : {"--model", "--dataset"})
    CHECK(!saved.config || !given.contains(option), "{}: has no effect with a run or its checkpoint, which tells it",
          option);
  CHECK(saved.config || given.contains("--model"),
        "export: {} is a file of weights; name the model it belongs to with --model", saved.weights.string());
  return saved.config ? choose_model(*saved.config) : choose_model(given);
}

}  // namespace

int run_export(const GivenOptions& given) {
  CHECK(given.contains("SOURCE"), "export: name the folder of a run, one of its checkpoints, or a file of weights");
  CHECK(given.contains("--output"), "export: name the file to write with --output FILE");
  const Settings settings = as_given(given);
  const ExportFormat& format =
      settings.format.empty() ? export_format_of(settings.output) : find_export_format(settings.format);
  const SavedModel saved = find_saved_model(settings.source);
  const ChosenModel chosen = choose(saved, given);
  saved.load(*chosen.net);
  fmt::print("weights      {} ({})\n", saved.weights.string(), text_of(chosen));
  write_exported(format, settings.output, chosen);
  return 0;
}

}  // namespace convoy
