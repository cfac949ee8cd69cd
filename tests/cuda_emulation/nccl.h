// NCCL as the emulation offers it in place of NVIDIA's: the calls that sum gradients over ranks, with the meaning of NCCL's
// documentation, between emulated devices. Ranks are threads of a process, each with a device, or processes.
//
// A communicator works by itself, like a GPU: an operation that is in its stream goes on while the host does something
// else. A rank that is missing makes the others hang, without an error, until they abort. Operations of one
// communicator come one after the other, in whatever streams they are.
#pragma once

#include <climits>
#include <cstddef>

#include "tests/cuda_emulation/cuda_runtime.h"

#define NCCL_MAJOR 2
#define NCCL_MINOR 28
#define NCCL_PATCH 9
#define NCCL_VERSION(major, minor, patch) ((major)*10000 + (minor)*100 + (patch))  // since 2.9
#define NCCL_VERSION_CODE NCCL_VERSION(NCCL_MAJOR, NCCL_MINOR, NCCL_PATCH)

#define NCCL_UNIQUE_ID_BYTES 128
struct ncclUniqueId {
  char internal[NCCL_UNIQUE_ID_BYTES];
};

enum ncclResult_t {
  ncclSuccess = 0,
  ncclUnhandledCudaError = 1,
  ncclSystemError = 2,
  ncclInternalError = 3,
  ncclInvalidArgument = 4,
  ncclInvalidUsage = 5,
  ncclRemoteError = 6,
  ncclInProgress = 7,
  ncclNumResults = 8,
};

enum ncclDataType_t {
  ncclInt8 = 0,
  ncclChar = ncclInt8,
  ncclUint8 = 1,
  ncclInt32 = 2,
  ncclInt = ncclInt32,
  ncclUint32 = 3,
  ncclInt64 = 4,
  ncclUint64 = 5,
  ncclFloat16 = 6,  // this, ncclBfloat16 and the 8-bit floats are moved, but not reduced
  ncclHalf = ncclFloat16,
  ncclFloat32 = 7,
  ncclFloat = ncclFloat32,
  ncclFloat64 = 8,
  ncclDouble = ncclFloat64,
  ncclBfloat16 = 9,
  ncclFloat8e4m3 = 10,
  ncclFloat8e5m2 = 11,
  ncclNumTypes = 12,
};

enum ncclRedOp_t { ncclSum = 0, ncclProd = 1, ncclMax = 2, ncclMin = 3, ncclAvg = 4, ncclNumOps = 5 };

#define NCCL_CONFIG_UNDEF_INT INT_MIN
#define NCCL_CONFIG_UNDEF_PTR nullptr

// Only `blocking` has a meaning here: 0, or 1 as when it is undefined.
struct ncclConfig_t {
  size_t size;
  unsigned magic, version;
  int blocking, cgaClusterSize, minCTAs, maxCTAs;
  const char* netName;
  int splitShare, trafficClass;
  const char* commName;
  int collnetEnable, CTAPolicy, shrinkShare, nvlsCTAs, nChannelsPerNetPeer, nvlinkCentricSched;
};

#define NCCL_CONFIG_INITIALIZER                                                                         \
  {                                                                                                     \
    sizeof(ncclConfig_t), 0xcafebeefu, NCCL_VERSION_CODE, NCCL_CONFIG_UNDEF_INT, NCCL_CONFIG_UNDEF_INT, \
        NCCL_CONFIG_UNDEF_INT, NCCL_CONFIG_UNDEF_INT, NCCL_CONFIG_UNDEF_PTR, NCCL_CONFIG_UNDEF_INT,     \
        NCCL_CONFIG_UNDEF_INT, NCCL_CONFIG_UNDEF_PTR, NCCL_CONFIG_UNDEF_INT, NCCL_CONFIG_UNDEF_INT,     \
        NCCL_CONFIG_UNDEF_INT, NCCL_CONFIG_UNDEF_INT, NCCL_CONFIG_UNDEF_INT, NCCL_CONFIG_UNDEF_INT      \
  }

const char* ncclGetErrorString(ncclResult_t result);
ncclResult_t ncclGetVersion(int* version);

// --- communicators ------------------------------------------------------------------------------------------------

using ncclComm_t = struct ncclComm*;  // a name that is never given twice: using it after its end is noticed

// Starts a thread here that brings the ranks of one communicator together, until all of them have left.
ncclResult_t ncclGetUniqueId(ncclUniqueId* id);
// On the current device. Blocking: returns when all ranks are there. Else ncclInProgress, and so for some calls of
// ncclCommGetAsyncError(), now and, by chance, after operations, which are in their streams only when that is over.
ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank, ncclConfig_t* config);
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* result);
ncclResult_t ncclCommFinalize(ncclComm_t comm);  // waits until this rank's operations are over, or polls do
ncclResult_t ncclCommDestroy(ncclComm_t comm);   // waits for the same, if that was not done
// Ends this rank's operations: its streams go on, what would be their results is 0xFF. Other ranks keep waiting.
ncclResult_t ncclCommAbort(ncclComm_t comm);
ncclResult_t ncclCommCount(ncclComm_t comm, int* ranks);
ncclResult_t ncclCommUserRank(ncclComm_t comm, int* rank);
const char* ncclGetLastError(ncclComm_t comm);  // what was last wrong in the calling thread, or with this communicator

// --- operations: they are in the stream when the call, or the outermost ncclGroupEnd(), returns ----------------------

ncclResult_t ncclAllReduce(const void* in, void* out, size_t count, ncclDataType_t type, ncclRedOp_t op,
                           ncclComm_t comm, cudaStream_t stream);
ncclResult_t ncclBroadcast(const void* in, void* out, size_t count, ncclDataType_t type, int root, ncclComm_t comm,
                           cudaStream_t stream);
// in [count], out [ranks * count]
ncclResult_t ncclAllGather(const void* in, void* out, size_t count, ncclDataType_t type, ncclComm_t comm,
                           cudaStream_t stream);
// in [ranks * count], out [count]
ncclResult_t ncclReduceScatter(const void* in, void* out, size_t count, ncclDataType_t type, ncclRedOp_t op,
                               ncclComm_t comm, cudaStream_t stream);
// Outside of a group, its stream does not go on before the other side is there, however little is sent.
ncclResult_t ncclSend(const void* in, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream);
ncclResult_t ncclRecv(void* out, size_t count, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t stream);

ncclResult_t ncclGroupStart();
ncclResult_t ncclGroupEnd();
