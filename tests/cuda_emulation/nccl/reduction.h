// NCCL's types and reductions on the host.
#pragma once

#include <span>

#include "tests/cuda_emulation/nccl/wire.h"

namespace convoy::emulation::nccl {

size_t bytes_of(ncclDataType_t type);  // of one element; 0 for what is no type
const char* name_of(ncclDataType_t type);
const char* name_of(ncclRedOp_t reduction);
bool can_reduce(ncclDataType_t type, ncclRedOp_t reduction);

// Element for element over the ranks, whose arrays hold `count` each; null stands for no bytes at all. As in a ring, each
// chunk of the array starts at another rank: the first at rank 1. Integers wrap around.
Bytes reduce(ncclDataType_t type, ncclRedOp_t reduction, size_t count, std::span<const Bytes* const> of_ranks);

}  // namespace convoy::emulation::nccl
