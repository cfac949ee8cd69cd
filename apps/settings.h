// Everything a user can choose, as one plain struct, and how the text of the command line becomes it.
//
//   Settings settings = resolve(given);
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace convoy {

// Option name ("--batch") to its text ("64"), for the options that the user gave.
using GivenOptions = std::map<std::string, std::string>;

struct Settings {
  std::string model, dataset;  // resolve() fills them
  std::filesystem::path data;
  int64_t holdout = 0;  // training images that become the validation set
  // What accuracies are measured on: "validation" with a holdout, else "test".
  const char* evaluated() const { return holdout > 0 ? "validation" : "test"; }
  int64_t limit = 0;             // training images used; 0: all
  int64_t image_size = 0;        // of folders of images: pixels of a side; resolve() fills it, 0 for other data sets
  float val_split = 0;           // likewise: share of each class to test on; 0: not given
  bool skip_bad_images = false;  // likewise
  bool augment = false, shuffle = true;

  std::string optimizer = "adam", schedule = "constant";
  float lr = 1e-3f, momentum = 0.9f, weight_decay = 0, label_smoothing = 0;
  float ema = 0;        // decay of the weights' moving average; 0: none
  float clip_norm = 0;  // of all gradients together; 0: no limit
  bool nesterov = false;
  int64_t warmup_steps = 0;
  int64_t step_every = 0;  // steps; 0: a third of the training
  float step_factor = 0.1f;

  int64_t epochs = 5, batch = 64;
  int64_t patience = 0;  // epochs without a higher accuracy after which training ends; 0: it does not
  int64_t steps = 0;     // at most so many optimizer steps; 0: no such limit
  int64_t seed = 1;
  std::string device = "cpu", precision = "fp32", conv_algo = "auto";
  bool graph = true;             // on a GPU: replay the training step from a recording
  int threads = 0, workers = 1;  // resolve() turns 0 threads into this process's share of the cores

  std::string strategy = "serial", reduce = "ring";
  int ranks = 0, replicas = 0;  // resolve() turns 0 into what the strategy does without being told
  int shards = 0;               // likewise; of each batch, over all ranks
  float bucket_mb = 1;
  int64_t accumulate = 1;
  // Whether a step is anything but one batch on one set of weights.
  bool parallel() const { return shards > 1 || accumulate > 1 || strategy != "serial"; }

  bool dry_run = false;
  bool profile = false;          // on the CPU, without shards
  int64_t log_every = 0;         // steps; 0: not given (run_log.cpp)
  std::filesystem::path config;  // read before all else (config_file.h)
  std::filesystem::path run, init, save, trace;
  bool plots = true;
  int64_t checkpoint_every = -1;  // steps; 0: no checkpoints; -1: after each epoch
  int64_t keep = 1;               // checkpoints, the newest
  std::filesystem::path resume;   // the run that goes on; then also `run`

  std::filesystem::path logits, confusion, mistakes;  // of `convoy eval` alone; empty: not given

  // Of `convoy predict` alone.
  std::vector<std::filesystem::path> images;
  int64_t top = 3;  // classes told of each image

  bool json = false;             // print for programs
  std::filesystem::path source;  // of `convoy export` and `convoy import` alone
  std::filesystem::path output;  // the file or folder that a command writes; empty: not given
  std::string format;            // of it

  // Of `convoy compare` alone; empty or 0: not given.
  std::vector<std::string> strategies, models;
  std::vector<int> workers_list;
  int64_t repeats = 0;
  bool quick = false;

  std::vector<std::filesystem::path> runs;  // of `convoy report` alone
  std::filesystem::path folder;             // of `convoy runs` alone

  std::string mirror;  // of `convoy data fetch` alone
  std::string shell;   // of `convoy completion` alone

  int64_t count = 0;  // images on a sheet; 0: not given
};

// Defaults (options.cpp), then the recipe (recipes.cpp), then `given`. Without a --dataset that is MNIST when
// it can be found, else the synthetic digits. Throws Error(usage) for a value that makes no sense or an
// option that the chosen method would ignore.
Settings resolve(const GivenOptions& given);

// `given`, and of `earlier`, the settings of another run, those that `given` has not and that have an effect beside it.
GivenOptions with_earlier(const GivenOptions& given, const GivenOptions& earlier);

}  // namespace convoy
