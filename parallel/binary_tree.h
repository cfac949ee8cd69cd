// The one order in which the parts of a batch are added up: a balanced binary tree over the leaves 0 … n-1.
//
//   leaves 0   1   2   3   4   5   6   7
//          └ + ┘   └ + ┘   └ + ┘   └ + ┘
//            └── + ──┘       └── + ──┘
//                └───── + ──────┘
//
// Floating-point addition is commutative but not associative: the result depends on this tree and on nothing else, least
// of all on who computes which node. For n = 2^k, subtrees of 2^j leaves can be summed elsewhere (by threads, by
// processes) and the tree continued over their sums.
#pragma once

#include <cstddef>

namespace convoy {

// Calls merge(i, j), "merge leaf j into leaf i", for every node of the tree; leaf 0 holds the whole in the end.
template <class Merge>
void reduce_tree(size_t leaves, Merge&& merge) {
  for (size_t stride = 1; stride < leaves; stride *= 2) {
    for (size_t i = 0; i + stride < leaves; i += 2 * stride) merge(i, i + stride);
  }
}

}  // namespace convoy
