// One rank of a communicator: its operations, from the call to the end, and the two threads that see to them.
//
// An operation is, in its stream: work that hands its inputs over; a wait for all that it needs of other ranks; work
// that takes its results. One thread, the driver, works the stream up to the first of these, as a GPU would without being
// asked; the other, the messenger, talks with the hub. Neither holds a device while it waits for other ranks.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "tests/cuda_emulation/device.h"
#include "tests/cuda_emulation/nccl/wire.h"

namespace convoy::emulation::nccl {

// One call.
struct Part {
  Header request;
  const void* in = nullptr;  // null: sends nothing
  size_t in_bytes = 0;
  void* out = nullptr;  // null: receives nothing
  size_t out_bytes = 0;
  std::shared_ptr<const Bytes> result = {};
};

// The calls of a group, or one. The communicator's mutex guards it.
struct Operation {
  enum class State { begun, handed_over, complete, aborted, failed, dropped };  // dropped: its device failed first

  uint64_t number = 0;
  std::vector<Part> parts;
  size_t unanswered = 0;
  State state = State::begun;
  std::shared_ptr<Record> reached;  // by the stream
  std::shared_ptr<Record> over;     // comes true when the state is one of the last four
};

class Communicator : public std::enable_shared_from_this<Communicator> {
 public:
  Communicator(EmulatedDevice& device, int ranks, int rank, bool blocking, const std::string& hub);
  ~Communicator();
  void start();  // its threads

  EmulatedDevice& device;
  const int ranks, rank;
  const bool blocking;

  // What ncclCommGetAsyncError() says. Each poll of a rank that is done otherwise uses up one of those that are to say
  // ncclInProgress; with the last of them, what was put off goes to its stream.
  ncclResult_t poll();
  ncclResult_t state();  // the same, without counting
  std::string failure();
  ncclResult_t wait_until_joined();

  // Whether, by chance, `what` is left to a later poll. Never for blocking communicators.
  bool put_off(std::function<ncclResult_t()> what);

  // A new operation, before anything of it is in a stream; null when the communicator has failed. `previous` becomes
  // what its stream has to wait for, or null.
  std::shared_ptr<Operation> begin(std::vector<Part> parts, std::shared_ptr<Record>& previous);
  void drive(const std::shared_ptr<Operation>& operation);  // once it is in its stream
  void drop(Operation& operation);                          // if it could not get there
  // Parts of the stream's work, done under the device's mutex.
  void hand_over(Operation& operation);
  std::string take_results(Operation& operation);

  void finalize();  // no more operations, and what was put off goes to its stream
  bool finalized();
  void wait_until_idle();
  // Ends what is under way, and the threads.
  void close();

 private:
  ncclResult_t state_locked() const;
  void end(Operation& operation, Operation::State state);
  void end_all(Operation::State state);
  void run_driver();
  void run_messenger();
  void hear(const Message& message);
  void wake_messenger();

  std::mutex mutex_;  // taken after the device's, where both are
  std::condition_variable changed_;
  const std::string hub_;
  const int wake_;  // an eventfd
  std::thread driver_, messenger_;
  std::atomic<bool> closing_ = false;

  bool joined_ = false, finalized_ = false;
  ncclResult_t failed_ = ncclSuccess;
  std::string failure_;
  Random random_;
  int polls_left_ = 0;
  std::function<ncclResult_t()> put_off_;

  uint64_t operations_begun_ = 0, collectives_begun_ = 0;
  std::map<uint64_t, std::shared_ptr<Operation>> under_way_;
  std::deque<std::shared_ptr<Operation>> to_drive_;
  std::shared_ptr<Record> last_over_;
  std::vector<Message> to_send_;
};

}  // namespace convoy::emulation::nccl
