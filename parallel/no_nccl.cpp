// Linked instead of nccl.cpp in a build without NCCL.
#include "parallel/nccl.h"
#include "tensor/error.h"

namespace convoy::nccl {
namespace {

constexpr const char* kNone =
    "this build has no NCCL; install libnccl-dev beside the CUDA toolkit, then build again with CONVOY_NCCL=ON";

}  // namespace

bool built() { return false; }
std::string library() { return kNone; }
std::unique_ptr<AsyncAllReduce> make_all_reduce(Transport&, int, Order, const Patience&) {
  fail(ErrorKind::usage, "nccl: {}", kNone);
}

}  // namespace convoy::nccl
