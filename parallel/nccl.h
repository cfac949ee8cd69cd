// Sums between the GPUs of several ranks, each of which has one, by NCCL. A build without it links no_nccl.cpp.
//
// NCCL, "NCCL User Guide", 2.28: non-blocking communicators, fault tolerance.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "parallel/async_all_reduce.h"
#include "parallel/transport.h"

namespace convoy::nccl {

bool built();
std::string library();  // "NCCL 2.28.9", or why there is none

enum class Order {
  any,   // NCCL's own all-reduce: the fastest, its rounding depends on the number of ranks
  tree,  // that of reduce_tree() over ranks (binary_tree.h): the same bits as tree_all_reduce()
};

// How long another rank may keep this one waiting: NCCL itself waits for ever for a rank that has died.
struct Patience {
  std::chrono::seconds to_join{120}, for_sum{300};
};

// All-reduces of memory of this GPU. `small`: among the same ranks, outlives what is returned, which asks it who is alive;
// messages are sent only here. Collective. Throws Error(usage) in a build without NCCL, Error(peer) when a rank does not
// join, Error(device) for what NCCL objects to: two ranks on one GPU, for one. abort() ends this rank alone.
std::unique_ptr<AsyncAllReduce> make_all_reduce(Transport& small, int device, Order order,
                                                const Patience& patience = {});

}  // namespace convoy::nccl
