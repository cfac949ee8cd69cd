#include "apps/comparison.h"

#include <fmt/chrono.h>

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "apps/commit.h"
#include "apps/machine.h"
#include "apps/number_text.h"
#include "apps/options.h"
#include "parallel/mpi.h"
#include "tensor/cores.h"
#include "tensor/kernels.h"
#include "tensor/physical_memory.h"

namespace convoy {

size_t Comparison::failed() const {
  return static_cast<size_t>(std::ranges::count_if(results, [](const RunResult& result) { return !result.good(); }));
}

bool Comparison::oversubscribed() const {
  return std::ranges::any_of(plan.configurations, [&](const Configuration& one) { return one.workers() > cores; });
}

const RunResult* good_run(const Comparison& comparison, size_t model) {
  for (const RunResult& result : comparison.results) {
    if (result.run.model == model && result.good()) return &result;
  }
  return nullptr;
}

std::vector<Fact> shared_settings(const Comparison& comparison, size_t model) {
  const ComparisonPlan& plan = comparison.plan;
  // Of the last configuration, which sums gradients.
  const Settings settings = resolve(plan.training_options({model, plan.configurations.size() - 1, 1}));
  std::vector<Fact> facts;
  for (const char* name :
       {"--model", "--dataset", "--holdout", "--limit", "--augment", "--optimizer", "--lr", "--weight-decay",
        "--schedule", "--epochs", "--batch", "--seed", "--reduce", "--bucket-mb", "--workers"}) {
    const nlohmann::ordered_json value = find_option(name).get(settings);
    if (value.is_null()) continue;
    facts.push_back({std::string(name).substr(2), value.is_string() ? value.get<std::string>() : value.dump()});
  }
  if (const RunResult* run = good_run(comparison, model)) {
    // More may have been asked for than there are.
    std::erase_if(facts, [](const Fact& fact) { return fact.name == "holdout" || fact.name == "limit"; });
    facts.insert(facts.begin() + 2, {{"training images", grouped(run->training_images)},
                                     {plan.evaluated + " images", grouped(run->evaluated_images)}});
  }
  if (settings.reduce == "tree") facts.push_back({"shards", std::to_string(settings.shards)});
  return facts;
}

std::vector<Fact> machine_facts(double load) {
  const std::string commit = kCommit;
  return {
      {"CPU", cpu_name()},
      {"cores", fmt::format("{} for this process", available_cores())},
      {"kernels", kernels({}).name},
      {"threads", "one for each worker; each process has loader threads beside them"},
      {"memory", fmt::format("{:.1f} GiB", static_cast<double>(memory_in_bytes()) / (1 << 30))},
      {"load", fmt::format("{:.1f} programs were running on average in the minute before", load)},
      {"MPI", mpi::built() ? mpi::library() : "none"},
      {"Convoy",
       fmt::format("{}{}, built with {}", CONVOY_VERSION, commit.empty() ? "" : ", commit " + commit, CONVOY_COMPILER)},
      {"date", fmt::format("{:%Y-%m-%d %H:%M:%S %z}", fmt::localtime(std::time(nullptr)))},
  };
}

}  // namespace convoy
