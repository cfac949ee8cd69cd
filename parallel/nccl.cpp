#include "parallel/nccl.h"

#include <cuda_runtime.h>
#include <nccl.h>

#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "parallel/binary_tree.h"
#include "parallel/segments.h"
#include "tensor/cuda/cuda.h"
#include "tensor/cuda/launch.h"
#include "tensor/cut.h"
#include "tensor/error.h"
#include "tensor/kernels.h"
#include "tensor/tensor.h"

namespace convoy::nccl {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void fail_call(ncclResult_t status, const char* what, ncclComm_t communicator, Transport& small) {
  const bool of_others = status == ncclRemoteError || status == ncclSystemError;
  // NCCL may have noticed first that a rank is gone; the transport knows which.
  constexpr auto kLater = std::chrono::seconds(1);
  for (const Clock::time_point start = Clock::now(); of_others && Clock::now() - start < kLater;) {
    small.check_alive();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const char* const details = ncclGetLastError(communicator);
  fail(of_others ? ErrorKind::peer : ErrorKind::device, "nccl: {}: {}{}{}", what, ncclGetErrorString(status),
       *details != 0 ? ": " : "", details);
}

// Polls `done` until it says so.
void wait_until(const std::function<bool()>& done, std::chrono::seconds limit, Transport& small, const char* what) {
  constexpr int kEagerPolls = 1000;
  constexpr auto kPause = std::chrono::microseconds(20);
  const Clock::time_point start = Clock::now();
  for (int polls = 0; !done(); ++polls) {
    small.check_alive();
    if (Clock::now() - start > limit)
      fail(ErrorKind::peer, "nccl: {} has taken more than {} s; another rank is stuck or gone", what, limit.count());
    polls < kEagerPolls ? std::this_thread::yield() : std::this_thread::sleep_for(kPause);
  }
}

// The id that rank 0 has drawn, on all ranks.
ncclUniqueId agree_on_id(Transport& small) {
  ncclUniqueId id{};
  const auto bytes = std::as_writable_bytes(std::span(&id, 1));
  if (small.rank() > 0) {
    small.receive(0, bytes)->wait();
    return id;
  }
  const ncclResult_t status = ncclGetUniqueId(&id);
  if (status != ncclSuccess) fail_call(status, "drawing an id", nullptr, small);
  for (int rank = 1; rank < small.size(); ++rank) small.send(rank, bytes)->wait();
  return id;
}

// This rank's part of a NCCL communicator that never blocks the host. Not for several threads at once.
class Handle {
 public:
  // For work on `stream`.
  Handle(Transport& small, const Stream& stream, const Patience& patience) : small_(small), patience_(patience) {
    const ncclUniqueId id = agree_on_id(small);
    cuda::enter(stream);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    const ncclResult_t status = ncclCommInitRankConfig(&handle_, ranks(), id, rank(), &config);
    try {
      settle(status, "joining", patience_.to_join);
    } catch (...) {
      abort();
      throw;
    }
  }
  ~Handle() {
    if (handle_ == nullptr) return;
    // Leaving in good order waits for the other ranks; what has failed is not waited for.
    ncclResult_t state = ncclCommFinalize(handle_);
    const Clock::time_point start = Clock::now();
    while (state == ncclInProgress && Clock::now() - start < std::chrono::seconds(10)) {
      std::this_thread::sleep_for(std::chrono::microseconds(100));
      if (ncclCommGetAsyncError(handle_, &state) != ncclSuccess) break;
    }
    state == ncclSuccess ? ncclCommDestroy(handle_) : ncclCommAbort(handle_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  int rank() const { return small_.rank(); }
  int ranks() const { return small_.size(); }

  // Calls `enqueue`, and returns when NCCL has taken over what it asks for.
  void run(const char* what, const std::function<ncclResult_t(ncclComm_t)>& enqueue) {
    check_in_use();
    settle(enqueue(handle_), what, patience_.for_sum);
  }

  // Throws when something that was asked for has gone wrong since.
  void check() {
    check_in_use();
    ncclResult_t state = ncclSuccess;
    ncclCommGetAsyncError(handle_, &state);
    if (state != ncclSuccess && state != ncclInProgress) fail_call(state, "a sum", handle_, small_);
  }

  // What is under way ends, with undefined results.
  void abort() {
    if (handle_ != nullptr) ncclCommAbort(handle_);
    handle_ = nullptr;
  }

 private:
  void check_in_use() const {
    if (handle_ == nullptr) fail(ErrorKind::peer, "nccl: another rank has given up");
  }

  void settle(ncclResult_t status, const char* what, std::chrono::seconds limit) {
    if (status == ncclInProgress) {
      wait_until(
          [&] {
            const ncclResult_t asked = ncclCommGetAsyncError(handle_, &status);
            if (asked != ncclSuccess) status = asked;
            return status != ncclInProgress;
          },
          limit, small_, what);
    }
    if (status != ncclSuccess) fail_call(status, what, handle_, small_);
  }

  Transport& small_;
  const Patience patience_;
  ncclComm_t handle_ = nullptr;
};

// Sums by one exchange of chunks, each rank's own added up by it in the tree's order, and one to give the sums to all:
//
//   rank r   sends chunk p to rank p, receives chunk r of all ranks     (R - 1) / R of the array each way
//            adds these up
//            sends chunk r to all, receives chunk p from rank p         likewise
void sum_along_tree(Handle& handle, const Stream& stream, std::span<float> values) {
  if (handle.ranks() == 1) return;
  const cudaStream_t queue = cuda::enter(stream);
  const size_t ranks = static_cast<size_t>(handle.ranks()), me = static_cast<size_t>(handle.rank());
  const auto chunk = [&](size_t rank) {
    return part(values, cut(static_cast<int64_t>(values.size()), static_cast<int64_t>(rank), handle.ranks()));
  };
  const std::span<float> mine = chunk(me);
  const auto count = static_cast<int64_t>(mine.size());
  Tensor received = Tensor::empty({static_cast<int64_t>(ranks), count}, DType::f32, stream.device);
  const auto of_rank = [&](size_t rank) {
    return rank == me ? mine.data() : received.data<float>() + static_cast<int64_t>(rank) * count;
  };
  const auto exchange = [&](const char* what, auto&& send_to, auto&& receive_from) {
    handle.run(what, [&](ncclComm_t communicator) {
      ncclGroupStart();
      for (size_t rank = 0; rank < ranks; ++rank) {
        if (rank == me) continue;
        const int peer = static_cast<int>(rank);
        const std::span<float> out = send_to(rank), in = receive_from(rank);
        ncclSend(out.data(), out.size(), ncclFloat, peer, communicator, queue);
        ncclRecv(in.data(), in.size(), ncclFloat, peer, communicator, queue);
      }
      return ncclGroupEnd();
    });
  };
  exchange("exchanging parts", chunk, [&](size_t rank) { return std::span(of_rank(rank), mine.size()); });
  const Kernels& k = kernels(stream.device);
  reduce_tree(ranks, [&](size_t i, size_t j) {
    k.binary_forward(stream, Binary::add, count, of_rank(i), of_rank(j), of_rank(i));
  });
  if (me != 0) {
    cuda::check(cudaMemcpyAsync(mine.data(), of_rank(0), mine.size_bytes(), cudaMemcpyDeviceToDevice, queue),
                "copying a sum");
  }
  exchange(
      "exchanging sums", [&](size_t) { return mine; }, chunk);
}

class NcclAllReduce : public AsyncAllReduce {
 public:
  NcclAllReduce(Transport& small, int device, Order order, const Patience& patience)
      : small_(small), order_(order), patience_(patience), stream_(cuda::make_stream(device)) {
    try {
      handle_.emplace(small, stream_, patience);
    } catch (...) {
      cuda::end_stream(stream_);
      throw;
    }
  }
  ~NcclAllReduce() override {
    handle_.reset();
    cuda::end_stream(stream_);
  }

  Reduction start(std::span<float> values) override {
    const std::lock_guard lock(mutex_);
    const auto begin = Clock::now();
    cuda::Event ready;
    ready.record(current_stream());
    const StreamScope scope(stream_);
    ready.hold_up(stream_);
    try {
      if (order_ == Order::tree) {
        sum_along_tree(*handle_, stream_, values);
      } else {
        handle_->run("a sum", [&](ncclComm_t communicator) {
          return ncclAllReduce(values.data(), values.data(), values.size(), ncclFloat, ncclSum, communicator,
                               cuda::enter(stream_));
        });
      }
    } catch (...) {
      handle_->abort();  // else the GPU, and whoever waits for it, would wait for ever
      throw;
    }
    const auto state = std::make_shared<State>(*this, begin);
    state->done_.record(stream_);
    return Reduction(state);
  }

  void abort() override {
    const std::lock_guard lock(mutex_);
    handle_->abort();
  }

 private:
  class State : public Reduction::State {
   public:
    State(NcclAllReduce& all, Clock::time_point begin) : all_(all), span_{begin, begin} {}

    void wait() override {
      try {
        wait_until(
            [&] {
              const std::lock_guard lock(all_.mutex_);
              all_.handle_->check();
              return done_.passed();
            },
            all_.patience_.for_sum, all_.small_, "a sum");
      } catch (...) {
        all_.abort();  // as in start()
        throw;
      }
      span_.end = Clock::now();
    }
    Reduction::Span span() const override { return span_; }

   private:
    friend class NcclAllReduce;
    NcclAllReduce& all_;
    Reduction::Span span_;
    cuda::Event done_;
  };

  Transport& small_;
  const Order order_;
  const Patience patience_;
  const Stream stream_;  // of its own: sums go on beside what computes the next gradients
  std::mutex mutex_;
  std::optional<Handle> handle_;  // guarded by mutex_
};

}  // namespace

bool built() { return true; }

std::string library() {
  int version = 0;
  ncclGetVersion(&version);
  return fmt::format("NCCL {}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

std::unique_ptr<AsyncAllReduce> make_all_reduce(Transport& small, int device, Order order, const Patience& patience) {
  return std::make_unique<NcclAllReduce>(small, device, order, patience);
}

}  // namespace convoy::nccl
