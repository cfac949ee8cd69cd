#include "apps/options.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "apps/compared_strategies.h"
#include "apps/completion.h"
#include "apps/device_options.h"
#include "apps/optimizers.h"
#include "apps/recipes.h"
#include "autograd/schedule.h"
#include "data/dataset.h"
#include "data/write_dataset.h"
#include "layers/models.h"
#include "parallel/strategy.h"
#include "tensor/device.h"

namespace convoy {
namespace {

using Json = nlohmann::ordered_json;
constexpr int64_t kAnyCount = std::numeric_limits<int64_t>::max();

template <class Number>
Number parse_number(const std::string& option, const std::string& text, const char* kind, const char* range) {
  Number number{};
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  CHECK(error != std::errc::result_out_of_range, "{}: {} is out of range, {}", option, text, range);
  CHECK(error == std::errc() && stopped == end, "{}: '{}' is not {}", option, text, kind);
  return number;
}

// A whole number in [least, most].
template <class Integer>
OptionRow count(std::string name, const char* group, Integer Settings::*member, int64_t least, int64_t most,
                std::string help) {
  const auto set = [=](Settings& settings, const std::string& text) {
    const int64_t number = parse_number<int64_t>(name, text, "a whole number", "64 bits do not hold it");
    CHECK(number >= least, "{}: {} is too small, the least is {}", name, number, least);
    CHECK(number <= most, "{}: {} is too large, the most is {}", name, number, most);
    settings.*member = static_cast<Integer>(number);
  };
  // Below the range: not set.
  const auto get = [=](const Settings& settings) { return settings.*member < least ? Json() : Json(settings.*member); };
  return {name, "N", group, std::move(help), set, get};
}

struct Range {
  const char* words;  // "in [0, 1)"
  bool (*contains)(float);
};

constexpr Range kPositive{"a finite number above 0", [](float x) { return x > 0 && std::isfinite(x); }};
constexpr Range kNotNegative{"a finite number, at least 0", [](float x) { return x >= 0 && std::isfinite(x); }};
constexpr Range kMegabytes{"from 0.001 to 65536", [](float x) { return x >= 0.001f && x <= 65536; }};
constexpr Range kBelowOne{"in [0, 1)", [](float x) { return x >= 0 && x < 1; }};
constexpr Range kShare{"above 0 and below 1", [](float x) { return x > 0 && x < 1; }};
constexpr Range kFactor{"in (0, 1]", [](float x) { return x > 0 && x <= 1; }};

OptionRow real(std::string name, const char* group, float Settings::*member, Range range, std::string help) {
  const auto set = [=](Settings& settings, const std::string& text) {
    const float number = parse_number<float>(name, text, "a number", "which is 1.2e-38 to 3.4e38");
    CHECK(range.contains(number), "{}: {} is not {}", name, text, range.words);
    settings.*member = number;
  };
  // Through its shortest decimal form: 0.001, not 0.0010000000474974513.
  const auto get = [=](const Settings& settings) { return Json(std::stod(fmt::format("{}", settings.*member))); };
  return {name, "X", group, std::move(help), set, get};
}

OptionRow toggle(std::string name, const char* group, bool Settings::*member, std::string help) {
  const auto set = [=](Settings& settings, const std::string& text) {
    CHECK(text == "on" || text == "off", "{}: '{}' is neither on nor off", name, text);
    settings.*member = text == "on";
  };
  const auto get = [=](const Settings& settings) { return Json(settings.*member ? "on" : "off"); };
  return {name, "on|off", group, std::move(help), set, get};
}

OptionRow path(std::string name, const char* value, const char* group, std::filesystem::path Settings::*member,
               std::string help) {
  const auto set = [=](Settings& settings, const std::string& text) {
    CHECK(!text.empty(), "{}: the path is empty", name);
    settings.*member = text;
  };
  const auto get = [=](const Settings& settings) {
    return (settings.*member).empty() ? Json() : Json((settings.*member).string());
  };
  return {name, value, group, std::move(help), set, get};
}

// An argument of any number of paths, each with a 0 byte behind it.
OptionRow paths(std::string name, const char* value, std::vector<std::filesystem::path> Settings::*member,
                std::string help) {
  const auto set = [=](Settings& settings, const std::string& text) {
    for (size_t begin = 0, end; (end = text.find('\0', begin)) != std::string::npos; begin = end + 1)
      (settings.*member).emplace_back(text.substr(begin, end - begin));
  };
  const auto get = [](const Settings&) { return Json(); };
  return {.name = name,
          .value = value,
          .group = "Positionals",
          .help = std::move(help),
          .set = set,
          .get = get,
          .many = true};
}

// A name that `check` knows, or throws.
OptionRow name_of(std::string name, const char* value, const char* group, std::string Settings::*member,
                  void (*check)(const std::string&), std::string help) {
  const auto set = [=](Settings& settings, const std::string& text) {
    try {
      check(text);
    } catch (const Error&) {
      std::string lower = text;
      for (char& letter : lower) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
      if (lower == text) throw;
      check(lower);
      fail(ErrorKind::usage, "{}: unknown name '{}', did you mean '{}'?", name, text, lower);
    }
    settings.*member = text;
  };
  const auto get = [=](const Settings& settings) { return Json(settings.*member); };
  return {name, value, group, std::move(help), set, get};
}

// The parts of "a,b,c" or "a, b, c".
std::vector<std::string> parse_list(const std::string& option, const std::string& text) {
  std::vector<std::string> items;
  std::istringstream parts(text + ",");
  for (std::string item; std::getline(parts, item, ',');) {
    const size_t begin = item.find_first_not_of(' '), end = item.find_last_not_of(' ');
    CHECK(begin != std::string::npos, "{}: '{}' is not a list like a,b,c", option, text);
    item = item.substr(begin, end + 1 - begin);
    CHECK(std::find(items.begin(), items.end(), item) == items.end(), "{}: {} is named twice", option, item);
    items.push_back(item);
  }
  return items;
}

OptionRow names(std::string name, const char* value, const char* group, std::vector<std::string> Settings::*member,
                void (*check)(const std::string&), std::string help) {
  const auto set = [=](Settings& settings, const std::string& text) {
    settings.*member = parse_list(name, text);
    for (const std::string& item : settings.*member) check(item);
  };
  const auto get = [=](const Settings& settings) { return Json(fmt::format("{}", fmt::join(settings.*member, ","))); };
  return {name, value, group, std::move(help), set, get};
}

OptionRow counts(std::string name, const char* group, std::vector<int> Settings::*member, int64_t most,
                 std::string help) {
  const auto set = [=](Settings& settings, const std::string& text) {
    (settings.*member).clear();
    for (const std::string& item : parse_list(name, text)) {
      const int64_t number = parse_number<int64_t>(name, item, "a whole number", "64 bits do not hold it");
      CHECK(number >= 1, "{}: {} is too small, the least is 1", name, number);
      CHECK(number <= most, "{}: {} is too large, the most is {}", name, number, most);
      (settings.*member).push_back(static_cast<int>(number));
    }
  };
  const auto get = [=](const Settings& settings) { return Json(fmt::format("{}", fmt::join(settings.*member, ","))); };
  return {name, "N,N,...", group, std::move(help), set, get};
}

OptionRow flag(std::string name, const char* group, bool Settings::*member, std::string help) {
  const auto set = [=](Settings& settings, const std::string& text) { settings.*member = text != "false"; };
  const auto get = [=](const Settings& settings) { return Json(settings.*member); };
  return {.name = name,
          .value = "",
          .group = group,
          .help = std::move(help),
          .set = set,
          .get = get,
          .default_shown = false};
}

// 0 stands for not given.
OptionRow optional_real(std::string name, const char* group, float Settings::*member, Range range, std::string help) {
  OptionRow row = real(std::move(name), group, member, range, std::move(help));
  row.get = [=, get = row.get](const Settings& settings) { return settings.*member == 0 ? Json() : get(settings); };
  return row;
}

OptionRow without_default(OptionRow row) {
  row.default_shown = false;
  return row;
}

std::vector<OptionRow> build_table() {
  const char* const data = "Data";
  const char* const model = "Model";
  const char* const method = "Method";
  const char* const length = "Length";
  const char* const machine = "Machine";
  const char* const parallel = "Parallel";
  const char* const output = "Output";
  using S = Settings;
  return {
      path("--config", "FILE", "Settings", &S::config,
           "take options from this file: a .toml with lines like batch = 128, or the config.json of an earlier run; "
           "those that you give overrule the file, the file overrules recipes"),
      name_of(
          "--model", "NAME|TEXT|@FILE", model, &S::model, [](const std::string&) {},
          "a name, a description of layers, or a file that holds one (grammar below); without it the data set's own: " +
              default_models() + choices(model_table())),
      path("--init", "DIR|FILE", model, &S::init,
           "start from these weights (safetensors with PyTorch's names), or from those of a run, by its folder (the "
           "best checkpoint's) or one of its checkpoints; the run's model, data and seed hold where --model or "
           "--dataset "
           "names no other"),
      name_of(
          "--dataset", "NAME", data, &S::dataset, [](const std::string& name) { find_dataset_row(name); },
          "without it: mnist if it is found, else synthetic" + choices(dataset_table())),
      path("--data", "DIR", data, &S::data, "where the data set's files are; else $CONVOY_DATA, then the user cache"),
      count("--holdout", data, &S::holdout, 0, kAnyCount,
            "the last N training images become the validation set, tested instead of the test set"),
      count("--limit", data, &S::limit, 1, kAnyCount, "use only the first N training images"),
      without_default(toggle("--augment", data, &S::augment,
                             "random crops and flips, as they suit the data set; without it the data set decides")),
      count("--image-size", data, &S::image_size, 1, 4096,
            "of folder:PATH: images are cut to their middle square and resized to N x N; without it 32"),
      optional_real(
          "--val-split", data, &S::val_split, kShare,
          "of folder:PATH without train and test (or val) in it: the share of each class to test on, drawn from "
          "the seed; without it 0.1"),
      toggle("--skip-bad-images", data, &S::skip_bad_images,
             "of folder:PATH: leave out, with a warning, what cannot be read"),
      toggle("--shuffle", data, &S::shuffle, "a new order each epoch, from the seed; off: the file's order"),
      name_of(
          "--optimizer", "NAME", method, &S::optimizer, [](const std::string& name) { find_optimizer(name); },
          "how gradients change weights" + choices(optimizer_table())),
      real("--lr", method, &S::lr, kPositive, "the (peak) learning rate"),
      real("--momentum", method, &S::momentum, kBelowOne, "of sgd"),
      toggle("--nesterov", method, &S::nesterov, "Nesterov's momentum, of sgd"),
      real("--weight-decay", method, &S::weight_decay, kNotNegative, "pull of the weights towards 0"),
      name_of(
          "--schedule", "NAME", method, &S::schedule, [](const std::string& name) { find_schedule(name); },
          "how the learning rate changes from step to step" + choices(schedules())),
      count("--warmup-steps", method, &S::warmup_steps, 0, kAnyCount, "the rate rises over the first N steps"),
      count("--step-every", method, &S::step_every, 1, kAnyCount,
            "of the schedule step, in steps; without it a third of the training"),
      real("--step-factor", method, &S::step_factor, kFactor, "of the schedule step: the rate is multiplied by this"),
      real("--clip-norm", method, &S::clip_norm, kNotNegative,
           "gradients are scaled down together where their L2 norm is above this; 0: never"),
      real("--label-smoothing", method, &S::label_smoothing, kBelowOne,
           "share of each target spread over all classes, in training"),
      real("--ema", method, &S::ema, kBelowOne,
           "decay of a moving average of the weights, like 0.999, which is then what is evaluated and saved; 0: none"),
      count("--epochs", length, &S::epochs, 1, 1'000'000, "passes over the training images"),
      count(
          "--patience", length, &S::patience, 0, 1'000'000,
          "stop when the accuracy has not risen for N epochs, and end with the weights of the best one; it is that on "
          "the validation set with --holdout, else on the test set, which then no longer tells what to expect of new "
          "images; 0: train to the end, and keep the last weights"),
      count("--batch", length, &S::batch, 1, 1 << 24,
            "images per optimizer step; the last batch of an epoch takes what is left"),
      count("--steps", length, &S::steps, 1, kAnyCount,
            "stop after N optimizer steps, even in mid-epoch; schedules end there too"),
      count("--seed", length, &S::seed, 0, kAnyCount,
            "of weights, order, augmentation, dropout, synthetic data and the split of folders"),
      name_of(
          "--device", "NAME", machine, &S::device, [](const std::string& name) { parse_device(name); },
          "cpu, cuda, or cuda:N for GPU N"),
      name_of(
          "--precision", "NAME", machine, &S::precision, [](const std::string& name) { find_precision(name); },
          "how a GPU computes products, and what activations are stored as; parameters and sums stay fp32" +
              choices(precision_table())),
      name_of(
          "--conv-algo", "NAME", machine, &S::conv_algo,
          [](const std::string& name) { find_convolution_algorithm(name); },
          "how convolutions are computed (docs/convolution.md, docs/cuda.md)" + choices(convolution_algorithm_table())),
      toggle("--graph", machine, &S::graph, "on a GPU: record the training step once (CUDA graph), then replay it"),
      count("--threads", machine, &S::threads, 1, 1024,
            "threads that compute, of each process; without it $OMP_NUM_THREADS or its share of the cores; never "
            "changes a result"),
      count("--workers", machine, &S::workers, 0, 256,
            "threads that prepare batches ahead; 0: none; never changes a result"),
      name_of(
          "--strategy", "NAME", parallel, &S::strategy, [](const std::string& name) { find_strategy(name); },
          "who computes which part of a batch (docs/parallel.md)" + choices(strategy_table())),
      count("--ranks", parallel, &S::ranks, 1, 65536,
            "processes of ddp and hybrid; without it as many as mpirun or srun has started or WORLD_SIZE says, else as "
            "many as cores or GPUs (ddp) or 2 (hybrid)"),
      count("--replicas", parallel, &S::replicas, 1, 1024,
            "of each process, of replicated and hybrid; without it its share of the cores or GPUs"),
      name_of(
          "--reduce", "NAME", parallel, &S::reduce, [](const std::string& name) { find_reduce(name); },
          "how gradients are summed" + choices(reduce_table())),
      count("--shards", parallel, &S::shards, 1, 4096,
            "parts that --reduce tree cuts each batch into, a power of two; without it 8"),
      real("--bucket-mb", parallel, &S::bucket_mb, kMegabytes,
           "size in MiB at which a bucket of gradients is full, and summed over replicas and ranks"),
      count("--accumulate", parallel, &S::accumulate, 1, 1 << 24,
            "micro-batches that each batch is worked through in, one after the other, to save memory"),
      flag("--dry-run", output, &S::dry_run,
           "train a few steps, evaluate one batch, and tell time, memory and files of the whole training; writes "
           "nothing"),
      count("--log-every", output, &S::log_every, 1, kAnyCount,
            "steps between two loss lines in metrics.jsonl; without it 50, but a twentieth of a training of less than "
            "1,000 steps"),
      toggle("--plots", output, &S::plots,
             "draw loss, accuracy and learning rate into DIR/plots at the end, where gnuplot is installed"),
      path("--run", "DIR", output, &S::run,
           "new folder for config.json, metrics.jsonl, its copies as .csv and for TensorBoard, and plots; without it "
           "runs/<model>-<dataset>-<time>"),
      count(
          "--checkpoint-every", output, &S::checkpoint_every, 0, kAnyCount,
          "steps between two checkpoints in DIR/checkpoints, from which --resume goes on, and one at the end; without "
          "it one after each epoch; 0: none, also when interrupted"),
      count("--keep", output, &S::keep, 1, kAnyCount, "the newest N checkpoints are kept, and the best"),
      path("--resume", "DIR", output, &S::resume,
           "go on with the run in DIR from its newest checkpoint, to the same result; its settings are taken from "
           "there, and of other options only --data, --log-every, --plots, --profile, --save, --threads and --workers "
           "may be given"),
      path("--save", "FILE", output, &S::save,
           "write the weights here at the end, also when interrupted (safetensors with PyTorch's names)"),
      path("--trace", "FILE", output, &S::trace,
           "write here what each rank and replica did in steps 2 to 21, to be seen in ui.perfetto.dev (JSON; "
           "docs/parallel.md)"),
      flag("--profile", output, &S::profile,
           "on the CPU: tell at the end where the time of steps 2 to 21 went, by layer and kernel, and how near each "
           "came to what this CPU can do; --steps 21 trains no longer than that; DIR/profile.txt has all of it, "
           "DIR/profile.json is for ui.perfetto.dev (docs/training.md)"),
  };
}

std::vector<OptionRow> build_comparison_table() {
  const char* const comparison = "Comparison";
  using S = Settings;
  return {
      names(
          "--strategies", "NAME,NAME,...", comparison, &S::strategies,
          [](const std::string& name) { find_compared_strategy(name); },
          "what is compared, serial always with it; without it all" + choices(compared_strategy_table())),
      counts("--workers-list", comparison, &S::workers_list, 1024,
             "numbers of workers, each with a core to itself; without it 1,2,4"),
      names(
          "--models", "NAME,NAME,...", comparison, &S::models, [](const std::string&) {},
          "networks to train, as --model of train names them; without it mnist-cnn,cifar-cnn"),
      count("--repeats", comparison, &S::repeats, 1, 1000,
            "rounds, each of which runs every configuration once; without it 3"),
      flag("--quick", comparison, &S::quick,
           "a run of a minute or a few: workers 1,2, 2 repeats, 1 epoch of 2,048 images, 1,000 more to validate; "
           "options that you "
           "give overrule these"),
  };
}

std::vector<OptionRow> build_interchange_table() {
  const char* const output = "Output";
  using S = Settings;
  return {
      path("SOURCE", "DIR|FILE", "Positionals", &S::source,
           "the folder of a run, one of its checkpoints, or a file of weights (safetensors) with --model"),
      path("--output", "FILE", output, &S::output, "required: the file to write; one that is there is replaced"),
      // Which formats there are, and which it is by default, the commands know.
      without_default(name_of(
          "--format", "NAME", output, &S::format, [](const std::string&) {}, "what to write")),
  };
}

// A folder, whose files' names are put behind it.
void check_mirror(const std::string& url) {
  const bool http = url.starts_with("http://") || url.starts_with("https://");
  const bool clean = std::ranges::none_of(url, [](unsigned char c) { return c <= ' ' || c == '?' || c == '#'; });
  CHECK(http && clean && url.ends_with("/"),
        "--mirror: '{}' is not the URL of a folder, like https://example.org/mnist/ with a slash at its end", url);
}

std::vector<OptionRow> build_report_table() {
  using S = Settings;
  return {
      paths("RUN", "DIR...", &S::runs, "folders of runs, like runs/lenet5-mnist-20261124-093000"),
      path("FOLDER", "DIR", "Positionals", &S::folder, "where the runs' folders are; without it runs"),
      flag("--json", "Output", &S::json, "print JSON, for programs"),
  };
}

std::vector<OptionRow> build_data_table() {
  using S = Settings;
  return {
      name_of(
          "NAME", "DATASET", "Positionals", &S::dataset, [](const std::string& name) { find_dataset_row(name); },
          "mnist, cifar10 or fashion-mnist"),
      name_of(
          "SHELL", "NAME", "Positionals", &S::shell, [](const std::string& name) { find_shell(name); },
          "whose completion is printed" + choices(shell_table())),
      path("OUT", "FOLDER", "Positionals", &S::output, "new folder for the files"),
      name_of("--mirror", "URL", "Data", &S::mirror, check_mirror,
              "the only folder to download from, where the files have their usual names; else the mirrors that Convoy "
              "knows"),
  };
}

std::vector<OptionRow> build_evaluation_table() {
  const char* const output = "Output";
  using S = Settings;
  return {
      path("--logits", "FILE", output, &S::logits,
           "write the logits here, [images, classes] in the order of the images (f32; numpy's .npy)"),
      path("--confusion", "FILE", output, &S::confusion,
           "draw here which classes are taken for which (PNG; by gnuplot); reports show RUN/confusion.png"),
      path("--mistakes", "FILE", output, &S::mistakes,
           "draw here the images with the largest loss of those that are taken for another class (PNG; by gnuplot)"),
      count("--count", output, &S::count, 1, 10'000, "images on the sheet; without it 48"),
  };
}

std::vector<OptionRow> build_prediction_table() {
  using S = Settings;
  return {
      paths("IMAGE", "PATH...", &S::images, "files (PNG, JPEG, BMP), or folders of them"),
      count("--top", "Output", &S::top, 1, 1000, "the most probable classes that are told of each image"),
  };
}

}  // namespace

std::span<const OptionRow> comparison_option_table() {
  static const std::vector<OptionRow> table = build_comparison_table();
  return table;
}

std::span<const OptionRow> option_table() {
  static const std::vector<OptionRow> table = build_table();
  return table;
}

const OptionRow& find_option(const std::string& name) {
  // Of an evaluation, a prediction, an exchange of weights, a look back on runs, and the commands of the group data.
  static const std::vector<OptionRow> evaluation = build_evaluation_table(), prediction = build_prediction_table(),
                                      interchange = build_interchange_table(), report = build_report_table(),
                                      data = build_data_table();
  for (const std::span<const OptionRow> table :
       {option_table(), comparison_option_table(), std::span(evaluation), std::span(prediction), std::span(interchange),
        std::span(report), std::span(data)}) {
    for (const OptionRow& row : table) {
      if (row.name == name) return row;
    }
  }
  fail(ErrorKind::internal, "option table: no row '{}'", name);
}

Settings as_given(const GivenOptions& given) {
  Settings settings;
  for (const auto& [name, text] : given) find_option(name).set(settings, text);
  return settings;
}

}  // namespace convoy
