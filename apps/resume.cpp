#include "apps/resume.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "apps/device_options.h"
#include "apps/job_environment.h"
#include "apps/number_text.h"
#include "apps/options.h"
#include "apps/run_log.h"
#include "apps/shell_word.h"
#include "data/dataset.h"
#include "tensor/counted.h"
#include "tensor/error.h"
#include "tensor/kernels.h"

namespace convoy {
namespace {

// The options that change no result; --dataset where the pictures of a folder have moved.
constexpr std::array kMayBeGiven = {"--data",    "--dataset", "--log-every", "--plots",
                                    "--profile", "--save",    "--threads",   "--workers"};

// A job has as many ranks as it had, whoever starts them.
void check_ranks(const Settings& settings, const std::string& where) {
  const std::string by = started_by();
  if (by.empty()) return;
  CHECK(settings.ranks == started_ranks(), "{}: is a run of {}, but {} {}", where, counted(settings.ranks, "rank"), by,
        started_ranks());
  CHECK(!meeting_point() || settings.reduce != "mpi", "{}: is a run with --reduce mpi, but {} {}", where, by,
        started_ranks());
}

}  // namespace

RunConfig config_to_resume(const GivenOptions& given) {
  const std::filesystem::path run = given.at("--resume");
  const std::string where = "--resume " + run.string();
  for (const auto& [name, text] : given) {
    CHECK(
        name == "--resume" || std::ranges::find(kMayBeGiven, name) != kMayBeGiven.end(),
        "{}: cannot be given with --resume, a run goes on with the settings that it began with; only {} may. --init {} "
        "begins a new run with its weights",
        name, fmt::join(kMayBeGiven, ", "), shell_word(run.string()));
  }
  RunConfig config = read_config(run);
  Settings& settings = config.settings;
  CHECK(!given.contains("--dataset") ||
            (!dataset_path(settings.dataset).empty() && !dataset_path(given.at("--dataset")).empty()),
        "--dataset: {} is on {}; only the folder of images may be another one, where they have moved", where,
        settings.dataset);
  for (const auto& [name, text] : given) find_option(name).set(settings, text);
  settings.run = run;
  settings.resume = run;
  settings.trace.clear();  // its steps are done
  CHECK(!given.contains("--data") || settings.dataset != "synthetic",
        "--data: has no effect with {}, a run on synthetic digits", where);
  CHECK(!given.contains("--data") || !find_dataset_row(settings.dataset).takes_path,
        "--data: has no effect with {}, a run on {}", where, settings.dataset);
  CHECK(!given.contains("--profile") || !(on_gpu(settings) || settings.parallel()),
        "--profile: has no effect with {}, a run on {}", where,
        on_gpu(settings) ? "a GPU" : "replicas, ranks or shards");
  CHECK(!given.contains("--workers") || !on_gpu(settings),
        "--workers: has no effect with {}, whose batches are made on the GPU", where);
  check_ranks(settings, where);
  return config;
}

bool is_complete(const std::filesystem::path& run) {
  const std::string line = last_line_of_log(run);
  return line.starts_with(R"({"event":"summary")") && line.ends_with("}");
}

void check_fits(const Checkpoint& checkpoint, const RunConfig& config) {
  const std::filesystem::path& run = config.settings.run;
  check_same_config(config.text, run, checkpoint.fact("config"), checkpoint.path.string());
  const std::string here = kernels(current_stream().device).name;
  if (config.kernels != here)
    fail(ErrorKind::data,
         "{}: was trained by {} kernels, here {} would go on, with other roundings; choose them with CONVOY_ISA where "
         "the machine has them, or begin a new run with --init {}",
         run.string(), config.kernels, here, checkpoint.path.string());
}

void check_images(const RunConfig& config, const DatasetSplits& data) {
  const Settings& settings = config.settings;
  const auto check = [&](const char* what, int64_t before, int64_t now) {
    if (before != now)
      fail(ErrorKind::data, "{}: was begun with {} {} images of {}, now there are {}", settings.run.string(),
           grouped(before), what, settings.dataset, grouped(now));
  };
  check("training", config.facts.training_images, data.train.size());
  check(settings.evaluated(), config.facts.evaluated_images, data.test.size());
  if (config.facts.input && *config.facts.input != input_of(data.train))
    fail(ErrorKind::data, "{}: was begun with other images of {}: their classes, size or brightness have changed",
         settings.run.string(), settings.dataset);
}

}  // namespace convoy
