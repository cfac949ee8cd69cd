// Groups of the calling thread: what ncclGroupStart() opens and ncclGroupEnd() brings into the streams.
#pragma once

#include "tests/cuda_emulation/nccl/communicator.h"

namespace convoy::emulation::nccl {

void open_group();
bool in_group();
void add_call(std::shared_ptr<Communicator> communicator, Part part, CUstream_st& stream);
void add_joining(std::shared_ptr<Communicator> communicator);
// A call of the group was refused: it ends with `result`, and none of its calls has an effect. Nothing outside of groups.
ncclResult_t spoil_group(ncclResult_t result);
ncclResult_t close_group();

}  // namespace convoy::emulation::nccl
