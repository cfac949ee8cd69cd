// `convoy export`: weights, or a whole network, for other programs.
#include <fmt/format.h>

#include <system_error>

#include "apps/checkpoint_folder.h"
#include "apps/commands.h"
#include "apps/export_formats.h"
#include "apps/options.h"
#include "apps/run_config.h"
#include "layers/weights.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

struct Source {
  ChosenModel chosen;
  fs::path weights;
};

Source read_run(const Settings& settings) {
  const fs::path& run = settings.source;
  const RunConfig config = read_config(run);
  const CheckpointFolder checkpoints(run, config.settings.keep);
  const Checkpoint checkpoint =
      settings.checkpoint == "best"
          ? checkpoints.read_best()
          : checkpoints.read_newest([](const std::string& line) { fmt::print(stderr, "convoy: warning: {}\n", line); });
  Source source{choose_model(config.settings.model, config.settings.dataset), checkpoint.path};
  checkpoint.load(*source.chosen.net);
  return source;
}

Source read_weights(const GivenOptions& given, const fs::path& path) {
  CHECK(given.contains("--model"), "export: {} is a file of weights; name the model it belongs to with --model",
        path.string());
  Source source{choose_model(given), path};
  load_weights(*source.chosen.net, path);
  return source;
}

Source read_source(const GivenOptions& given, const Settings& settings) {
  std::error_code none;
  const bool run = fs::is_directory(settings.source, none);
  if (!run && !fs::exists(settings.source, none))
    fail(ErrorKind::data, "{}: no such file or folder", settings.source.string());
  for (const char* option : {"--model", "--dataset"})
    CHECK(!run || !given.contains(option), "{}: has no effect with the folder of a run, which tells it", option);
  CHECK(run || !given.contains("--checkpoint"), "--checkpoint: has no effect with a file, only with a run's folder");
  return run ? read_run(settings) : read_weights(given, settings.source);
}

}  // namespace

int run_export(const GivenOptions& given) {
  CHECK(given.contains("SOURCE"), "export: name the folder of a run, or a file of weights");
  CHECK(given.contains("--output"), "export: name the file to write with --output FILE");
  const Settings settings = as_given(given);
  const ExportFormat& format =
      settings.format.empty() ? export_format_of(settings.output) : find_export_format(settings.format);
  const Source source = read_source(given, settings);
  fmt::print("weights      {} ({})\n", source.weights.string(), text_of(source.chosen));
  write_exported(format, settings.output, source.chosen);
  return 0;
}

}  // namespace convoy
