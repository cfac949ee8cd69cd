// The calls of nccl.h that make ranks exchange data, and what is checked before anything happens.
#include <fmt/format.h>

#include "tests/cuda_emulation/memory.h"
#include "tests/cuda_emulation/nccl/errors.h"
#include "tests/cuda_emulation/nccl/group.h"
#include "tests/cuda_emulation/nccl/handles.h"
#include "tests/cuda_emulation/nccl/reduction.h"

using namespace convoy::emulation;
using namespace convoy::emulation::nccl;

namespace {

// What a call reads and writes, in elements; where the one may lie within the other, all distances in elements.
struct Buffers {
  const void* in = nullptr;
  size_t in_count = 0;
  void* out = nullptr;
  size_t out_count = 0;
  size_t in_place_of_in = 0, in_place_of_out = 0;  // in place means in + the one == out + the other
};

// "" or what is wrong with it.
std::string find_wrong_buffer(const char* name, const void* pointer, size_t bytes, const EmulatedDevice& device) {
  if (bytes == 0) return "";
  const std::optional<Allocation> allocation = find_allocation(pointer);
  if (!allocation || allocation->owner == kPinnedHost) return fmt::format("{} is not in device memory", name);
  if (allocation->owner != device.index)
    return fmt::format("{} is on device {}, the communicator on device {}", name, allocation->owner, device.index);
  if (!allocation->contains(pointer, bytes)) return fmt::format("{} has less than {} bytes", name, bytes);
  return "";
}

std::string find_wrong(const Communicator& communicator, const Header& request, const Buffers& buffers,
                       const CUstream_st& stream) {
  const size_t element = bytes_of(request.type);
  if (element == 0) return fmt::format("type {}", static_cast<int>(request.type));
  const bool reduces = request.kind == Kind::all_reduce || request.kind == Kind::reduce_scatter;
  if (reduces && !can_reduce(request.type, request.reduction))
    return fmt::format("the {} of {} is not emulated", name_of(request.reduction), name_of(request.type));
  if (request.peer < 0 || request.peer >= communicator.ranks)
    return fmt::format("rank {} of {}", request.peer, communicator.ranks);
  const size_t in_bytes = buffers.in_count * element, out_bytes = buffers.out_count * element;
  std::string wrong = find_wrong_buffer("in", buffers.in, in_bytes, communicator.device);
  if (wrong.empty()) wrong = find_wrong_buffer("out", buffers.out, out_bytes, communicator.device);
  if (!wrong.empty()) return wrong;
  const auto in = reinterpret_cast<uintptr_t>(buffers.in), out = reinterpret_cast<uintptr_t>(buffers.out);
  const bool overlap = in_bytes > 0 && out_bytes > 0 && in < out + out_bytes && out < in + in_bytes;
  if (overlap && in + buffers.in_place_of_in * element != out + buffers.in_place_of_out * element)
    return "in and out overlap, but not as they do in place";
  if (stream.device != &communicator.device)
    return fmt::format("the stream is on device {}, the communicator on device {}", stream.device->index,
                       communicator.device.index);
  return "";
}

ncclResult_t submit(const char* call, ncclComm_t comm, cudaStream_t handle, const Header& request,
                    const std::function<Buffers(const Communicator&)>& buffers_on) {
  ncclResult_t result;
  const std::shared_ptr<Communicator> communicator = find_ready(comm, call, result);
  if (communicator == nullptr) return spoil_group(result);
  CUstream_st& stream = stream_of(handle);
  const Buffers buffers = buffers_on(*communicator);
  const std::string wrong = find_wrong(*communicator, request, buffers, stream);
  if (!wrong.empty()) return spoil_group(refuse(ncclInvalidArgument, fmt::format("{}: {}", call, wrong)));
  if (stream.capture != nullptr)
    return spoil_group(refuse(ncclInvalidUsage, fmt::format("{}: recording into graphs is not emulated", call)));
  const bool halves = request.kind == Kind::send || request.kind == Kind::receive;
  if (request.count == 0 && !halves) return ncclSuccess;  // as in NCCL: no operation, and no wait for anybody

  const size_t element = bytes_of(request.type);
  open_group();
  add_call(communicator,
           {.request = request,
            .in = buffers.in,
            .in_bytes = buffers.in_count * element,
            .out = buffers.out,
            .out_bytes = buffers.out_count * element},
           stream);
  return close_group();
}

}  // namespace

ncclResult_t ncclAllReduce(const void* in, void* out, size_t count, ncclDataType_t type, ncclRedOp_t op,
                           ncclComm_t comm, cudaStream_t stream) {
  const Header request{.kind = Kind::all_reduce, .type = type, .reduction = op, .count = count};
  return submit("ncclAllReduce", comm, stream, request, [&](const Communicator&) {
    return Buffers{in, count, out, count};
  });
}

ncclResult_t ncclBroadcast(const void* in, void* out, size_t count, ncclDataType_t type, int root, ncclComm_t comm,
                           cudaStream_t stream) {
  const Header request{.kind = Kind::broadcast, .type = type, .peer = root, .count = count};
  return submit("ncclBroadcast", comm, stream, request, [&](const Communicator& at) {
    return at.rank == root ? Buffers{in, count, out, count} : Buffers{.out = out, .out_count = count};
  });
}

ncclResult_t ncclAllGather(const void* in, void* out, size_t count, ncclDataType_t type, ncclComm_t comm,
                           cudaStream_t stream) {
  const Header request{.kind = Kind::all_gather, .type = type, .count = count};
  return submit("ncclAllGather", comm, stream, request, [&](const Communicator& at) {
    const auto ranks = static_cast<size_t>(at.ranks), rank = static_cast<size_t>(at.rank);
    return Buffers{in, count, out, ranks * count, 0, rank * count};
  });
}

ncclResult_t ncclReduceScatter(const void* in, void* out, size_t count, ncclDataType_t type, ncclRedOp_t op,
                               ncclComm_t comm, cudaStream_t stream) {
  const Header request{.kind = Kind::reduce_scatter, .type = type, .reduction = op, .count = count};
  return submit("ncclReduceScatter", comm, stream, request, [&](const Communicator& at) {
    const auto ranks = static_cast<size_t>(at.ranks), rank = static_cast<size_t>(at.rank);
    return Buffers{in, ranks * count, out, count, rank * count, 0};
  });
}

ncclResult_t ncclSend(const void* in, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  const Header request{.kind = Kind::send, .type = type, .peer = peer, .count = count};
  return submit("ncclSend", comm, stream, request,
                [&](const Communicator&) { return Buffers{.in = in, .in_count = count}; });
}

ncclResult_t ncclRecv(void* out, size_t count, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t stream) {
  const Header request{.kind = Kind::receive, .type = type, .peer = peer, .count = count};
  return submit("ncclRecv", comm, stream, request,
                [&](const Communicator&) { return Buffers{.out = out, .out_count = count}; });
}
