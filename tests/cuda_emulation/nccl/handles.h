// From the handles that programs hold to communicators. Thread-safe.
#pragma once

#include "tests/cuda_emulation/nccl/communicator.h"

namespace convoy::emulation::nccl {

ncclComm_t keep(std::shared_ptr<Communicator> communicator);

// Null for what is not, or no more, a communicator.
std::shared_ptr<Communicator> find(ncclComm_t handle);
std::shared_ptr<Communicator> forget(ncclComm_t handle);

// The same, with the reason in `result`: communicators that are gone, have failed, are finalized or in progress are not
// ready. `call` is for the message.
std::shared_ptr<Communicator> find_ready(ncclComm_t handle, const char* call, ncclResult_t& result);
ncclResult_t refuse_unknown(const char* call);

}  // namespace convoy::emulation::nccl
