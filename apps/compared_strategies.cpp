#include "apps/compared_strategies.h"

#include <fmt/format.h>

#include "parallel/strategy.h"
#include "tensor/counted.h"
#include "tensor/find_row.h"

namespace convoy {
namespace {

std::optional<Configuration> serial(int workers) {
  if (workers != 1) return {};
  return Configuration{.strategy = "serial"};
}

std::optional<Configuration> openmp(int workers) {
  if (workers == 1) return {};
  return Configuration{.strategy = "openmp", .threads = workers};
}

std::optional<Configuration> replicated(int workers) {
  return Configuration{.strategy = "replicated", .replicas = workers, .threads = workers};
}

std::optional<Configuration> ddp(int workers) { return Configuration{.strategy = "ddp", .ranks = workers}; }

std::optional<Configuration> hybrid(int workers) {
  if (workers < 4 || workers % 2 != 0) return {};
  return Configuration{.strategy = "hybrid", .ranks = 2, .replicas = workers / 2, .threads = workers / 2};
}

constexpr ComparedStrategy kCompared[] = {
    {"serial", "one thread: what all others are measured against", serial},
    {"openmp", "serial with a thread for each worker; 2 workers or more", openmp},
    {"replicated", "a replica for each worker, in one process", replicated},
    {"ddp", "a rank (process) for each worker", ddp},
    {"hybrid", "2 ranks, each with half the workers as replicas; an even number from 4 on", hybrid},
};

}  // namespace

std::string Configuration::name() const {
  if (strategy == "serial") return strategy;
  if (strategy == "hybrid") return fmt::format("{}-{}x{}", strategy, ranks, replicas);
  return fmt::format("{}-{}", strategy, workers());
}

std::string Configuration::devices() const {
  if (strategy == "hybrid") return fmt::format("{} ranks x {}", ranks, replicas);
  return counted(workers(), strategy == "ddp" ? "rank" : strategy == "replicated" ? "replica" : "thread");
}

GivenOptions Configuration::options() const {
  const std::string trained = strategy == "openmp" ? "serial" : strategy;
  GivenOptions options{{"--strategy", trained}, {"--threads", std::to_string(threads)}};
  const StrategyRow& row = find_strategy(trained);
  if (row.ranks) options["--ranks"] = std::to_string(ranks);
  if (row.replicas) options["--replicas"] = std::to_string(replicas);
  return options;
}

std::span<const ComparedStrategy> compared_strategy_table() { return kCompared; }
const ComparedStrategy& find_compared_strategy(std::string_view name) { return find_row("strategy", name, kCompared); }

}  // namespace convoy
