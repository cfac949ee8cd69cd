// Who computes which part of a batch. A job has R ranks (processes), a rank N replicas (threads with weights of their own),
// and a batch is cut into S shards, of which each rank, and within it each replica, computes consecutive ones.
//
//   R = 2, N = 2, S = 8        rank 0                         rank 1
//                              replica 0      replica 1       replica 0      replica 1
//   shards                     0   1          2   3           4   5          6   7
#pragma once

#include <string>

#include "tensor/counted.h"

namespace convoy {

struct Layout {
  int rank = 0, ranks = 1, replicas = 1;
  int shards = 1;  // of all ranks: a multiple of ranks * replicas

  int local_shards() const { return shards / ranks; }
  int first_shard() const { return rank * local_shards(); }
  int replica_of(int local_shard) const { return local_shard * replicas / local_shards(); }

  // "3 replicas", "2 ranks", "2 ranks of 3 replicas".
  std::string workers_text() const {
    if (ranks == 1) return counted(replicas, "replica");
    const std::string text = counted(ranks, "rank");
    return replicas == 1 ? text : text + " of " + counted(replicas, "replica");
  }
};

}  // namespace convoy
