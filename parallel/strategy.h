// The strategies and the ways to sum gradients, by name. The command line's choices and help come from these tables.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "parallel/background_all_reduce.h"
#include "parallel/nccl.h"

namespace convoy {

struct StrategyRow {
  const char* name;
  const char* help;
  bool ranks, replicas;  // whether it may have several
};
std::span<const StrategyRow> strategy_table();
const StrategyRow& find_strategy(std::string_view name);  // throws unknown_name

struct ReduceRow {
  const char* name;
  const char* help;
  bool fixed_shards;                        // sums over as many shards as asked for, not over one for each replica
  AllReduceAlgorithm between_cpus;          // of several ranks; null: it cannot
  std::optional<nccl::Order> between_gpus;  // likewise
};
std::span<const ReduceRow> reduce_table();
const ReduceRow& find_reduce(std::string_view name);  // throws unknown_name

}  // namespace convoy
