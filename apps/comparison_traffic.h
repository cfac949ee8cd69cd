// How many bytes a training step moves, computed from the formulas of docs/parallel.md, not measured.
#pragma once

#include <cstdint>

#include "apps/compared_strategies.h"

namespace convoy {

// For P parameters of 4 bytes, R ranks of N replicas, S shards.
struct StepTraffic {
  int64_t copy = 0;         // (N - 1) 4P        in each process: weights to the other replicas
  int64_t reduce = 0;       // (S / R - 1) 4P    in each process: gradients of its shards added up
  int64_t communicate = 0;  // 2 (R - 1) / R 4P  sent by each rank, and the least that any all-reduce sends
};
StepTraffic step_traffic(const Configuration& configuration, int64_t parameters, int shards);

}  // namespace convoy
