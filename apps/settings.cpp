#include "apps/settings.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <sstream>

#include "apps/device_options.h"
#include "apps/job_environment.h"
#include "apps/options.h"
#include "apps/recipes.h"
#include "data/image_folder.h"
#include "parallel/layout.h"
#include "parallel/strategy.h"
#include "tensor/cores.h"
#include "tensor/counted.h"
#include "tensor/cuda/cuda.h"
#include "tensor/device.h"
#include "tensor/error.h"

namespace convoy {
namespace {

void apply_recipe(const Recipe& recipe, Settings& settings) {
  settings.model = recipe.model;
  std::istringstream words(recipe.options);
  for (std::string name, text; words >> name >> text;) find_option(name).set(settings, text);
}

// The defaults, the recipe and what was given; unlike resolve() nothing that follows from it.
Settings chosen(const GivenOptions& given) {
  Settings settings;
  settings.threads = current_stream().threads;

  if (const auto name = given.find("--dataset"); name != given.end()) {
    settings.dataset = name->second;
  } else {
    // With --data the user has data in mind: if MNIST is not there, loading says so.
    const bool has_mnist = given.contains("--data") || !find_dataset_row("mnist").find({}).empty();
    settings.dataset = has_mnist ? "mnist" : "synthetic";
  }
  const DatasetRow& dataset = find_dataset_row(settings.dataset);
  settings.augment = dataset.augment_by_default;
  if (dataset.takes_path) settings.image_size = kDefaultImageSize;

  const auto model = given.find("--model");
  settings.model = model == given.end() ? "" : model->second;
  const Recipe* recipe = find_recipe(dataset.name, settings.model);
  CHECK(recipe != nullptr || !settings.model.empty(), "data set {}: has no default model, name one with --model",
        settings.dataset);
  if (recipe != nullptr) apply_recipe(*recipe, settings);
  for (const auto& [name, text] : given) find_option(name).set(settings, text);
  if (on_gpu(settings) && find_strategy(settings.strategy).ranks && !given.contains("--reduce"))
    settings.reduce = "nccl";
  return settings;
}

struct Unheeded {
  std::string option, where;  // "--momentum", "--optimizer adam"
};

// The options that these settings make no use of.
std::vector<Unheeded> unheeded(const Settings& settings) {
  std::vector<Unheeded> options;
  const auto heed = [&](const char* option, bool used, const std::string& where) {
    if (!used) options.push_back({option, where});
  };
  const bool gpu = on_gpu(settings);
  const std::string device = "--device " + settings.device;
  heed("--precision", gpu || settings.precision == "fp32", device);
  const bool cpu_algorithm = settings.conv_algo == "gemm" || settings.conv_algo == "winograd";
  heed("--conv-algo", settings.conv_algo == "auto" || gpu != cpu_algorithm,
       device + (gpu ? ", which knows auto, im2col, tiled, tensor-core and direct"
                     : ", which knows auto, gemm and winograd"));
  heed("--conv-algo", settings.conv_algo != "tiled" || settings.precision != "bf16",
       "--precision bf16, whose products run on tensor cores");
  heed("--graph", gpu, device);
  heed("--workers", !gpu, device + ", where batches are made on the GPU");
  const std::string optimizer = "--optimizer " + settings.optimizer, schedule = "--schedule " + settings.schedule;
  heed("--momentum", settings.optimizer == "sgd", optimizer);
  heed("--nesterov", settings.optimizer == "sgd", optimizer);
  const bool folder = find_dataset_row(settings.dataset).takes_path;
  heed("--data", settings.dataset != "synthetic", "--dataset synthetic");
  heed("--data", !folder, fmt::format("--dataset {}, which names the folder", settings.dataset));
  for (const char* option : {"--image-size", "--val-split", "--skip-bad-images"})
    heed(option, folder, fmt::format("--dataset {}; it is for folders of images", settings.dataset));
  heed("--warmup-steps", settings.schedule != "one-cycle", schedule);
  heed("--step-every", settings.schedule == "step", schedule);
  heed("--step-factor", settings.schedule == "step", schedule);
  heed("--keep", settings.checkpoint_every != 0, "--checkpoint-every 0");

  const StrategyRow& strategy = find_strategy(settings.strategy);
  const ReduceRow& reduce = find_reduce(settings.reduce);
  const std::string where = "--strategy " + settings.strategy;
  const bool many = strategy.ranks || strategy.replicas, summed = many || reduce.fixed_shards;
  const bool parallel = many || settings.accumulate > 1 || (reduce.fixed_shards && settings.shards != 1);
  heed("--ranks", strategy.ranks, where);
  heed("--replicas", strategy.replicas, where);
  heed("--reduce", summed, where + ", where nothing is summed");
  heed("--reduce", strategy.ranks || settings.reduce == "ring" || reduce.fixed_shards,
       where + ", which has one rank; choose ring or tree");
  heed("--shards", reduce.fixed_shards, "--reduce " + settings.reduce);
  heed("--bucket-mb", summed, where);
  heed("--trace", parallel, where + ", which communicates with nobody");
  heed("--profile", !gpu, device + ", whose kernels NVIDIA's Nsight Systems shows");
  heed("--profile", !parallel, (many ? where : "--reduce tree or --accumulate") + ", where --trace shows what happens");
  heed("--graph", !gpu || !parallel || !settings.graph, many ? where : "--reduce tree or --accumulate");
  return options;
}

// Who takes part: fills ranks, replicas, shards and threads.
void resolve_parallel(const GivenOptions& given, Settings& settings) {
  const StrategyRow& strategy = find_strategy(settings.strategy);
  const bool gpu = on_gpu(settings);
  const ReduceRow& reduce = find_reduce(settings.reduce);
  const std::string where = "--strategy " + settings.strategy;
  CHECK(!strategy.ranks || (gpu ? reduce.between_gpus.has_value() : reduce.between_cpus != nullptr),
        "--reduce {}: does not sum between {}; choose {} or tree", settings.reduce, gpu ? "GPUs" : "CPUs",
        gpu ? "nccl" : "ring");

  const int started = started_ranks(), cores = available_cores();
  const int devices = gpu ? std::max(1, cuda::device_count()) : cores;
  const std::string by = started_by();
  CHECK(started == 1 || strategy.ranks, "{}: is one process, but {} {}; choose ddp or hybrid", where, by, started);
  CHECK(by.empty() || settings.ranks == 0 || settings.ranks == started, "--ranks: {}, but {} {}", settings.ranks, by,
        started);
  CHECK(!meeting_point() || settings.reduce != "mpi",
        "--reduce mpi: needs ranks that mpirun or srun has started, but {} {}; choose ring or tree", by, started);
  if (settings.ranks == 0)
    settings.ranks = !strategy.ranks ? 1 : !by.empty() ? started : strategy.replicas ? 2 : devices;
  const int cores_per_rank = std::max(1, cores / ranks_on_this_host(settings.ranks));
  if (settings.replicas == 0)
    settings.replicas = strategy.replicas ? std::max(1, devices / ranks_on_this_host(settings.ranks)) : 1;
  // current_stream() knows what the user wants of OpenMP.
  const bool told = given.contains("--threads") || std::getenv("OMP_NUM_THREADS") != nullptr;
  if (!told) settings.threads = std::min(settings.threads, cores_per_rank);

  const int workers = settings.ranks * settings.replicas;
  if (!reduce.fixed_shards) settings.shards = workers;
  if (settings.shards == 0) settings.shards = 8;
  CHECK(!reduce.fixed_shards || std::has_single_bit(static_cast<unsigned>(settings.shards)),
        "--shards: {} is not a power of two", settings.shards);
  const std::string who = Layout{.ranks = settings.ranks, .replicas = settings.replicas}.workers_text();
  CHECK(settings.shards % workers == 0,
        "--shards: {} cannot be shared out evenly among {}; choose a power of two of each",
        counted(settings.shards, "shard"), who);
  CHECK(settings.accumulate <= settings.batch,
        "--accumulate: {} micro-batches of a --batch of {}, at least one image each is needed", settings.accumulate,
        settings.batch);
  const int64_t images = (settings.batch + settings.accumulate - 1) / settings.accumulate;
  CHECK(
      settings.shards <= images,
      "--batch: {}{} for {}, some of which would have none in every step; choose a --batch of at least {}, or fewer {}",
      counted(images, "image"), settings.accumulate > 1 ? " at a time (--accumulate)" : "",
      reduce.fixed_shards ? counted(settings.shards, "shard") : who, (settings.shards - 1) * settings.accumulate + 1,
      reduce.fixed_shards ? "--shards"
      : !strategy.ranks   ? "--replicas"
      : strategy.replicas ? "--ranks or --replicas"
                          : "--ranks");
  CHECK(!gpu || workers == 1 || settings.device == "cuda",
        "--device {}: names one GPU, {} wants {}; leave out the number, and let $CUDA_VISIBLE_DEVICES choose",
        settings.device, where, workers);
}

}  // namespace

Settings resolve(const GivenOptions& given) {
  Settings settings = chosen(given);
  // An option that would be ignored is a mistake worth telling.
  for (const auto& [option, where] : unheeded(settings))
    CHECK(!given.contains(option), "{}: has no effect with {}", option, where);
  CHECK(settings.optimizer != "sgd" || !settings.nesterov || settings.momentum > 0,
        "--nesterov on: has no effect with --momentum 0");
  resolve_parallel(given, settings);
  return settings;
}

GivenOptions with_earlier(const GivenOptions& given, const GivenOptions& earlier) {
  GivenOptions all = given;
  all.insert(earlier.begin(), earlier.end());
  for (const auto& [option, where] : unheeded(chosen(all))) {
    if (!given.contains(option)) all.erase(option);
  }
  return all;
}

}  // namespace convoy
