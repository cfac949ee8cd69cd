// How mistakes are told: to stderr, to ncclGetLastError() and by the result.
#pragma once

#include <nccl.h>

#include <string>

namespace convoy::emulation::nccl {

// Returns `result`.
ncclResult_t refuse(ncclResult_t result, const std::string& why);

}  // namespace convoy::emulation::nccl
