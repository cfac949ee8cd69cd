// The ring all-reduce: bandwidth-optimal, each rank sends 2 (R - 1) / R times the array.
//
// Patarasu, Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", 2009.
#pragma once

#include <span>

#include "parallel/transport.h"

namespace convoy {

// values [n] = the sum over all ranks of their values [n], the same bits on every rank. Called by all with the same n.
// The order of summation depends on the number of ranks and on the position in the array.
void ring_all_reduce(Transport& transport, std::span<float> values);

}  // namespace convoy
