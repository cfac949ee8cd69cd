#include "parallel/strategy.h"

#include "parallel/mpi.h"
#include "parallel/ring_all_reduce.h"
#include "parallel/tree_all_reduce.h"
#include "tensor/find_row.h"

namespace convoy {
namespace {

constexpr StrategyRow kStrategies[] = {
    {"serial", "one process, one set of weights", false, false},
    {"replicated", "one process; --replicas copies of the weights, gradients summed onto the first", false, true},
    {"ddp", "--ranks processes (MPI or TCP); gradients summed in buckets while backward goes on", true, false},
    {"hybrid", "--ranks processes of --replicas replicas each", true, true},
};

constexpr ReduceRow kReduces[] = {
    {"ring", "moves least; its rounding depends on the number of ranks and replicas", false, ring_all_reduce, {}},
    {"mpi", "MPI's own all-reduce between ranks, in an order of its choice", false, mpi::all_reduce, {}},
    {"nccl", "NCCL's own between ranks with GPUs, where it is the default", false, nullptr, nccl::Order::any},
    {"tree", "the same bits for every strategy with the same --shards", true, tree_all_reduce, nccl::Order::tree},
};

}  // namespace

std::span<const StrategyRow> strategy_table() { return kStrategies; }
const StrategyRow& find_strategy(std::string_view name) { return find_row("strategy", name, kStrategies); }

std::span<const ReduceRow> reduce_table() { return kReduces; }
const ReduceRow& find_reduce(std::string_view name) { return find_row("reduction", name, kReduces); }

}  // namespace convoy
