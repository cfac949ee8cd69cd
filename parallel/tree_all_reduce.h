// The reproducible all-reduce: recursive halving, then doubling, which moves no more than a ring does, but whose order
// of summation is one fixed binary tree for every element.
//
// Thakur, Rabenseifner, Gropp, "Optimization of collective communication operations in MPICH", 2005.
#pragma once

#include <span>

#include "parallel/transport.h"

namespace convoy {

// values [n] = the sum over all ranks of their values [n], the same bits on every rank. Called by all with the same n.
// For R = 2^k ranks each element is (… ((v0 + v1) + (v2 + v3)) + …), the tree of reduce_tree() (binary_tree.h): so it
// does not matter whether its lower levels were summed up within a rank. For other R, the ranks from the largest
// power of two on first add theirs to ranks 0, 1, ….
void tree_all_reduce(Transport& transport, std::span<float> values);

}  // namespace convoy
