// The ways to share out a training among workers that `convoy compare` compares, in one explicit table. A worker is one
// thread that computes, with a core of its own where the machine has enough.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "apps/settings.h"

namespace convoy {

// One way, for one number of workers.
struct Configuration {
  std::string strategy;  // a name of compared_strategy_table()
  int ranks = 1, replicas = 1;
  int threads = 1;  // of each rank

  int workers() const { return ranks * threads; }
  std::string name() const;      // "ddp-2", unique: also the name of its folder
  std::string devices() const;   // "2 ranks"
  GivenOptions options() const;  // of `convoy train`
  bool operator==(const Configuration&) const = default;
};

struct ComparedStrategy {
  const char* name;
  const char* help;
  // Nothing for a number of workers that makes no sense, or nothing that another strategy is not already.
  std::optional<Configuration> (*with)(int workers);
};
std::span<const ComparedStrategy> compared_strategy_table();
const ComparedStrategy& find_compared_strategy(std::string_view name);  // throws unknown_name

}  // namespace convoy
