#include "tests/cuda_emulation/nccl/group.h"

#include <algorithm>
#include <utility>

#include "tests/cuda_emulation/nccl/errors.h"

namespace convoy::emulation::nccl {
namespace {

// The calls for one communicator, and the streams they were made for, each once.
struct Batch {
  std::shared_ptr<Communicator> communicator;
  std::vector<Part> parts = {};
  std::vector<CUstream_st*> streams = {};
};

struct Group {
  int depth = 0;
  std::vector<Batch> batches = {};
  std::vector<std::shared_ptr<Communicator>> joining = {};
  ncclResult_t result = ncclSuccess;
};

thread_local Group group;

std::shared_ptr<Record> record_in(CUstream_st& stream) {
  const auto record = std::make_shared<Record>();
  record->device = stream.device;
  record->stream = &stream;
  return record;
}

// Puts the batch into its streams as one operation: in the first one it runs, the others wait for it at both ends.
ncclResult_t launch(const Batch& batch) {
  const std::shared_ptr<Communicator> communicator = batch.communicator;
  std::shared_ptr<Record> previous;
  const std::shared_ptr<Operation> operation = communicator->begin(batch.parts, previous);
  if (operation == nullptr) return refuse(ncclInvalidUsage, "the communicator has failed: " + communicator->failure());
  CUstream_st& stream = *batch.streams.front();
  operation->reached = record_in(stream);
  const std::shared_ptr<Record> taken = record_in(stream);

  std::vector<std::pair<CUstream_st*, Entry>> entries;
  for (CUstream_st* other : batch.streams) {
    if (other == &stream) continue;
    const std::shared_ptr<Record> here = record_in(*other);
    entries.push_back({other, {.reached = here}});
    entries.push_back({&stream, {.awaited = here}});
  }
  if (previous != nullptr) entries.push_back({&stream, {.awaited = previous}});
  entries.push_back({&stream, {.work = [communicator, operation] {
                       communicator->hand_over(*operation);
                       return std::string();
                     }}});
  entries.push_back({&stream, {.reached = operation->reached}});
  entries.push_back({&stream, {.awaited = operation->over}});
  entries.push_back({&stream, {.work = [communicator, operation] { return communicator->take_results(*operation); }}});
  entries.push_back({&stream, {.reached = taken}});
  for (CUstream_st* other : batch.streams) {
    if (other != &stream) entries.push_back({other, {.awaited = taken}});
  }
  for (auto& [where, entry] : entries) {
    if (enqueue(*where, std::move(entry)) == cudaSuccess) continue;
    communicator->drop(*operation);
    return refuse(ncclUnhandledCudaError, "the device has failed");
  }
  communicator->drive(operation);
  return ncclSuccess;
}

}  // namespace

void open_group() { ++group.depth; }

bool in_group() { return group.depth > 0; }

void add_call(std::shared_ptr<Communicator> communicator, Part part, CUstream_st& stream) {
  auto batch = std::find_if(group.batches.begin(), group.batches.end(),
                            [&](const Batch& each) { return each.communicator == communicator; });
  if (batch == group.batches.end()) batch = group.batches.insert(batch, {.communicator = std::move(communicator)});
  batch->parts.push_back(std::move(part));
  if (std::find(batch->streams.begin(), batch->streams.end(), &stream) == batch->streams.end())
    batch->streams.push_back(&stream);
}

void add_joining(std::shared_ptr<Communicator> communicator) { group.joining.push_back(std::move(communicator)); }

ncclResult_t spoil_group(ncclResult_t result) {
  if (in_group() && group.result == ncclSuccess) group.result = result;
  return result;
}

ncclResult_t close_group() {
  if (group.depth == 0) return refuse(ncclInvalidUsage, "ncclGroupEnd: there was no ncclGroupStart");
  if (--group.depth > 0) return ncclSuccess;
  const Group closed = std::exchange(group, {});
  if (closed.result != ncclSuccess) return closed.result;
  ncclResult_t result = ncclSuccess;
  const auto note = [&result](ncclResult_t one) {
    if (result == ncclSuccess || result == ncclInProgress) result = one == ncclSuccess ? result : one;
  };
  for (const std::shared_ptr<Communicator>& communicator : closed.joining)
    note(communicator->blocking ? communicator->wait_until_joined() : ncclInProgress);
  for (const Batch& batch : closed.batches)
    note(batch.communicator->put_off([batch] { return launch(batch); }) ? ncclInProgress : launch(batch));
  return result;
}

}  // namespace convoy::emulation::nccl

ncclResult_t ncclGroupStart() {
  convoy::emulation::nccl::open_group();
  return ncclSuccess;
}

ncclResult_t ncclGroupEnd() { return convoy::emulation::nccl::close_group(); }
