#include "tests/cuda_emulation/nccl/handles.h"

#include <fmt/format.h>

#include "tests/cuda_emulation/nccl/errors.h"

namespace convoy::emulation::nccl {
namespace {

struct Handles {
  std::mutex mutex;
  uintptr_t last = 0;
  std::map<ncclComm_t, std::shared_ptr<Communicator>> all;
};

// Never destroyed: communicators that a program leaves open work until its end.
Handles& handles() {
  static Handles* const only = new Handles;
  return *only;
}

}  // namespace

ncclComm_t keep(std::shared_ptr<Communicator> communicator) {
  Handles& known = handles();
  const std::lock_guard lock(known.mutex);
  const auto handle = reinterpret_cast<ncclComm_t>(++known.last * 16);
  known.all[handle] = std::move(communicator);
  return handle;
}

std::shared_ptr<Communicator> find(ncclComm_t handle) {
  Handles& known = handles();
  const std::lock_guard lock(known.mutex);
  const auto found = known.all.find(handle);
  return found == known.all.end() ? nullptr : found->second;
}

std::shared_ptr<Communicator> forget(ncclComm_t handle) {
  Handles& known = handles();
  const std::lock_guard lock(known.mutex);
  const auto node = known.all.extract(handle);
  return node.empty() ? nullptr : node.mapped();
}

ncclResult_t refuse_unknown(const char* call) {
  return refuse(ncclInvalidArgument, fmt::format("{}: no communicator, or one that was aborted or destroyed", call));
}

std::shared_ptr<Communicator> find_ready(ncclComm_t handle, const char* call, ncclResult_t& result) {
  const std::shared_ptr<Communicator> communicator = find(handle);
  if (communicator == nullptr) {
    result = refuse_unknown(call);
  } else if (result = communicator->state(); result == ncclInProgress) {
    result = refuse(ncclInvalidUsage, fmt::format("{}: the communicator is in progress: poll it first", call));
  } else if (result != ncclSuccess) {
    refuse(result, fmt::format("{}: the communicator has failed: {}", call, communicator->failure()));
  } else if (communicator->finalized()) {
    result = refuse(ncclInvalidUsage, fmt::format("{}: the communicator is finalized", call));
  } else {
    return communicator;
  }
  return nullptr;
}

}  // namespace convoy::emulation::nccl
