// All-reduces over messages, carried out by a thread of their own, one after the other in the order in which they were
// started.
#pragma once

#include <memory>
#include <span>

#include "parallel/async_all_reduce.h"
#include "parallel/transport.h"

namespace convoy {

// values [n] = the sum over all ranks, on the calling thread: ring_all_reduce(), tree_all_reduce() or a library's.
using AllReduceAlgorithm = void (*)(Transport&, std::span<float> values);

// Of memory of the CPU. Destroyed, it finishes what has been started, unless aborted.
std::unique_ptr<AsyncAllReduce> make_background_all_reduce(std::unique_ptr<Transport> transport,
                                                           AllReduceAlgorithm algorithm);

}  // namespace convoy
