#include "tests/cuda_emulation/nccl/errors.h"

#include <cstdio>

#include "tests/cuda_emulation/nccl/handles.h"

namespace convoy::emulation::nccl {
namespace {

thread_local std::string last_error;

}  // namespace

ncclResult_t refuse(ncclResult_t result, const std::string& why) {
  last_error = why;
  std::fprintf(stderr, "cuda emulation: nccl: %s\n", why.c_str());
  return result;
}

}  // namespace convoy::emulation::nccl

using namespace convoy::emulation::nccl;

const char* ncclGetLastError(ncclComm_t comm) {
  if (const std::shared_ptr<Communicator> communicator = find(comm)) {
    const std::string failure = communicator->failure();
    if (!failure.empty()) last_error = failure;
  }
  return last_error.c_str();
}

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "no error";
    case ncclUnhandledCudaError:
      return "unhandled cuda error";
    case ncclSystemError:
      return "unhandled system error";
    case ncclInternalError:
      return "internal error";
    case ncclInvalidArgument:
      return "invalid argument";
    case ncclInvalidUsage:
      return "invalid usage";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    case ncclInProgress:
      return "operation in progress";
    case ncclNumResults:
      break;
  }
  return "unknown result code";
}
