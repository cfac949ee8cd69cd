// The calls of nccl.h that make, question and end communicators.
#include <fmt/format.h>

#include <cstring>

#include "tests/cuda_emulation/nccl/errors.h"
#include "tests/cuda_emulation/nccl/group.h"
#include "tests/cuda_emulation/nccl/handles.h"
#include "tests/cuda_emulation/nccl/hub.h"

using namespace convoy::emulation;
using namespace convoy::emulation::nccl;

ncclResult_t ncclGetVersion(int* version) {
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  const std::string hub = start_hub();
  if (hub.empty()) return refuse(ncclSystemError, "ncclGetUniqueId: no socket");
  *id = {};
  std::memcpy(id->internal, hub.data(), hub.size());
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank, ncclConfig_t* config) {
  constexpr const char* kCall = "ncclCommInitRankConfig";
  if (ranks < 1 || rank < 0 || rank >= ranks)
    return spoil_group(refuse(ncclInvalidArgument, fmt::format("{}: rank {} of {}", kCall, rank, ranks)));
  const ncclConfig_t fresh = NCCL_CONFIG_INITIALIZER;
  const ncclConfig_t& wanted = config != nullptr ? *config : fresh;
  if (wanted.magic != fresh.magic || wanted.size != fresh.size ||
      (wanted.blocking != 0 && wanted.blocking != 1 && wanted.blocking != NCCL_CONFIG_UNDEF_INT))
    return spoil_group(refuse(ncclInvalidArgument, fmt::format("{}: the config is not initialized", kCall)));
  const std::string hub(id.internal, strnlen(id.internal, sizeof id.internal));
  if (!names_hub(hub))
    return spoil_group(refuse(ncclInvalidArgument, fmt::format("{}: not an id of ncclGetUniqueId", kCall)));
  cudaError_t error;
  EmulatedDevice* const device = usable_device(error);
  if (device == nullptr)
    return spoil_group(refuse(ncclUnhandledCudaError, fmt::format("{}: {}", kCall, cudaGetErrorString(error))));

  const auto communicator = std::make_shared<Communicator>(*device, ranks, rank, wanted.blocking != 0, hub);
  *comm = keep(communicator);
  communicator->start();
  if (in_group()) {
    add_joining(communicator);
    return ncclSuccess;
  }
  return communicator->blocking ? communicator->wait_until_joined() : ncclInProgress;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* result) {
  const std::shared_ptr<Communicator> communicator = find(comm);
  if (communicator == nullptr) return refuse_unknown("ncclCommGetAsyncError");
  *result = communicator->poll();
  return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  ncclResult_t result;
  const std::shared_ptr<Communicator> communicator = find_ready(comm, "ncclCommFinalize", result);
  if (communicator == nullptr) return result;
  communicator->finalize();
  if (!communicator->blocking) return ncclInProgress;
  communicator->wait_until_idle();
  return communicator->state();
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  const std::shared_ptr<Communicator> communicator = forget(comm);
  if (communicator == nullptr) return refuse_unknown("ncclCommDestroy");
  communicator->finalize();
  communicator->wait_until_idle();
  communicator->close();
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
  const std::shared_ptr<Communicator> communicator = forget(comm);
  if (communicator == nullptr) return refuse_unknown("ncclCommAbort");
  communicator->close();
  return ncclSuccess;
}

ncclResult_t ncclCommCount(ncclComm_t comm, int* ranks) {
  ncclResult_t result;
  const std::shared_ptr<Communicator> communicator = find_ready(comm, "ncclCommCount", result);
  if (communicator != nullptr) *ranks = communicator->ranks;
  return result;
}

ncclResult_t ncclCommUserRank(ncclComm_t comm, int* rank) {
  ncclResult_t result;
  const std::shared_ptr<Communicator> communicator = find_ready(comm, "ncclCommUserRank", result);
  if (communicator != nullptr) *rank = communicator->rank;
  return result;
}
