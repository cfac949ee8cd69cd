#include "tests/cuda_emulation/block.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <numeric>

#include "tests/cuda_emulation/emulated_thread.h"
#include "tests/cuda_emulation/fiber.h"
#include "tests/cuda_emulation/kernel_language.h"
#include "tests/cuda_emulation/report.h"
#include "tests/cuda_emulation/shared_arena.h"

constinit thread_local uint3 threadIdx = {0, 0, 0};
constinit thread_local uint3 blockIdx = {0, 0, 0};
constinit thread_local dim3 blockDim;
constinit thread_local dim3 gridDim;

namespace convoy::emulation {

constinit thread_local unsigned char* shared_memory_begin = nullptr;
constinit thread_local size_t shared_memory_bytes = 0;

namespace {

class BlockRunner {
 public:
  BlockRunner() : threads_(kMaxThreads) {
    for (unsigned i = 0; i < kMaxThreads; ++i) threads_[i].number = i;
    ready_.reserve(kMaxThreads);
  }

  std::string run(const Launch& launch, Random& random);

  void meet_block(const Site& site);
  void meet_warp(unsigned mask, void* operands, WarpOperation perform, const Site& site);
  void set_report(const std::string& what) { report_ = describe_failure(*launch_, blockIdx, what); }
  [[noreturn]] void stop();
  AsyncCopies& async_copies() { return current_->copies; }

 private:
  struct Warp {
    unsigned alive = 0;    // lanes that have not exited
    unsigned waiting = 0;  // lanes in meet_warp()
  };

  void prepare_block();
  void run_block();
  void run_threads(Fiber& self);
  void make_ready(unsigned warp, unsigned lanes);
  void make_block_ready(const EmulatedThread* but);
  bool complete(Warp& warp, unsigned number, const EmulatedThread& any, const EmulatedThread* running);
  void suspend();
  Fiber& fiber_to_resume();
  Fiber& idle_fiber();
  [[noreturn]] void stop_stuck(const char* what);
  void forget_fibers();

  const Launch* launch_ = nullptr;
  Random* random_ = nullptr;
  std::string report_;

  unsigned size_ = 0, at_barrier_ = 0, exited_ = 0;
  std::vector<EmulatedThread> threads_;
  std::vector<EmulatedThread*> ready_;  // the next at the back
  Warp warps_[kMaxThreads / 32];
  EmulatedThread* current_ = nullptr;
  SharedArena shared_;

  Fiber host_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
};

constinit thread_local BlockRunner* running = nullptr;

std::string BlockRunner::run(const Launch& launch, Random& random) {
  launch_ = &launch;
  random_ = &random;
  report_.clear();
  blockDim = launch.block;
  gridDim = launch.grid;
  size_ = launch.block.x * launch.block.y * launch.block.z;
  for (unsigned i = 0; i < size_; ++i) {
    const dim3& block = launch.block;
    threads_[i].index = {i % block.x, i / block.x % block.y, i / block.x / block.y};
  }
  shared_.set_size(launch.shared_bytes);
  shared_memory_begin = shared_.begin();
  shared_memory_bytes = launch.shared_bytes;

  // Steps of a fixed length, prime to their number, visit all blocks.
  const dim3& grid = launch.grid;
  const uint64_t blocks = uint64_t{grid.x} * grid.y * grid.z;
  uint64_t step = 1 + random.below(blocks), at = random.below(blocks);
  while (std::gcd(step, blocks) != 1) ++step;
  for (uint64_t i = 0; i < blocks && report_.empty(); ++i, at = (at + step) % blocks) {
    blockIdx = {static_cast<unsigned>(at % grid.x), static_cast<unsigned>(at / grid.x % grid.y),
                static_cast<unsigned>(at / grid.x / grid.y)};
    run_block();
  }
  return report_;
}

void BlockRunner::prepare_block() {
  at_barrier_ = exited_ = 0;
  for (unsigned i = 0; i < size_; ++i) {
    threads_[i].fiber = nullptr;
    threads_[i].copies.clear();
  }
  for (unsigned first = 0; first < size_; first += 32) {
    const unsigned lanes = std::min(size_ - first, 32u);
    warps_[first / 32] = {.alive = 0xFFFFFFFFu >> (32 - lanes)};
  }
  ready_.clear();
  make_block_ready(nullptr);
}

void BlockRunner::run_block() {
  prepare_block();
  shared_.poison();
  Fiber::switch_to(host_, fiber_to_resume());
  if (!report_.empty()) {
    forget_fibers();
  } else if (!shared_.guards_intact()) {
    set_report(fmt::format("wrote outside its {} bytes of dynamic shared memory", shared_.bytes()));
    shared_.set_size(shared_.bytes());
  }
}

// What a fiber does all its life: the thread it was resumed for, then others that have not begun.
void BlockRunner::run_threads(Fiber& self) {
  for (;;) {
    EmulatedThread& thread = *current_;
    thread.fiber = &self;
    launch_->body();

    thread.state = EmulatedThread::State::exited;
    ++exited_;
    Warp& warp = warps_[thread.number / 32];
    warp.alive &= ~(1u << thread.number % 32);
    // Lanes that waited for this one may go on without it.
    for (unsigned lane = 0; warp.waiting != 0 && lane < 32; ++lane) {
      const unsigned number = thread.number / 32;
      if (warp.waiting >> lane & 1) complete(warp, number, threads_[number * 32 + lane], nullptr);
    }

    if (ready_.empty()) {
      if (exited_ < size_) stop_stuck("threads wait for others that never come");
      idle_.push_back(&self);
      Fiber::switch_to(self, host_);
    } else if (ready_.back()->fiber != nullptr) {
      idle_.push_back(&self);
      Fiber::switch_to(self, fiber_to_resume());
    } else {
      current_ = ready_.back();
      ready_.pop_back();
      threadIdx = current_->index;
    }
  }
}

// The lanes in a random order, the last one to run first.
void BlockRunner::make_ready(unsigned warp, unsigned lanes) {
  const uint64_t draw = random_->next();
  unsigned lane = draw >> 32;
  const unsigned step = static_cast<unsigned>(draw) | 1;  // odd: all 32 are visited
  for (int i = 0; i < 32; ++i, lane += step) {
    if ((lanes >> lane % 32 & 1) == 0) continue;
    EmulatedThread& thread = threads_[warp * 32 + lane % 32];
    thread.state = EmulatedThread::State::ready;
    ready_.push_back(&thread);
  }
}

void BlockRunner::make_block_ready(const EmulatedThread* but) {
  const unsigned warps = (size_ + 31) / 32;
  unsigned order[kMaxThreads / 32];
  std::iota(order, order + warps, 0u);
  for (unsigned i = 0; i < warps; ++i) {
    std::swap(order[i], order[i + random_->below(warps - i)]);
    const unsigned warp = order[i];
    unsigned lanes = warps_[warp].alive;
    if (but != nullptr && but->number / 32 == warp) lanes &= ~(1u << but->number % 32);
    make_ready(warp, lanes);
  }
}

void BlockRunner::meet_block(const Site& site) {
  EmulatedThread& self = *current_;
  self.site = site;
  self.state = EmulatedThread::State::at_barrier;
  if (++at_barrier_ < size_) return suspend();
  for (unsigned i = 0; i < size_; ++i) {
    if (threads_[i].site != site) stop_stuck("threads meet at different barriers");
  }
  at_barrier_ = 0;
  self.state = EmulatedThread::State::ready;
  make_block_ready(&self);
}

void BlockRunner::meet_warp(unsigned mask, void* operands, WarpOperation perform, const Site& site) {
  EmulatedThread& self = *current_;
  self.site = site;
  self.mask = mask;
  self.operands = operands;
  self.perform = perform;
  self.state = EmulatedThread::State::in_warp;
  const unsigned number = self.number / 32;
  Warp& warp = warps_[number];
  if ((mask >> self.number % 32 & 1) == 0) fail_kernel("has a mask that leaves its caller out", site);
  warp.waiting |= 1u << self.number % 32;
  if (!complete(warp, number, self, &self)) suspend();
}

// Performs the operation that `any` waits in, if all its lanes are there, and makes them ready, but for the one that is
// running already.
bool BlockRunner::complete(Warp& warp, unsigned number, const EmulatedThread& any, const EmulatedThread* running) {
  const unsigned mask = any.mask, lanes = mask & warp.alive;
  if ((warp.waiting & lanes) != lanes) return false;
  void* operands[32];
  const EmulatedThread* const first = &threads_[number * 32];
  for (unsigned lane = 0; lane < 32; ++lane) {
    const EmulatedThread& thread = first[lane];
    operands[lane] = nullptr;
    if ((lanes >> lane & 1) == 0) continue;
    if (thread.mask != mask || thread.perform != any.perform || thread.site != any.site) return false;
    operands[lane] = thread.operands;
  }
  warp.waiting &= ~lanes;
  if (const char* const wrong = any.perform(mask, operands); wrong != nullptr) fail_kernel(wrong, any.site);
  if (running != nullptr) {
    threads_[running->number].state = EmulatedThread::State::ready;
    make_ready(number, lanes & ~(1u << running->number % 32));
  } else {
    make_ready(number, lanes);
  }
  return true;
}

// Leaves the running thread, whose state says what it waits for, until it is made ready.
void BlockRunner::suspend() {
  if (ready_.empty()) stop_stuck("threads wait for others that never come");
  Fiber& self = *current_->fiber;
  Fiber::switch_to(self, fiber_to_resume());
}

Fiber& BlockRunner::fiber_to_resume() {
  current_ = ready_.back();
  ready_.pop_back();
  threadIdx = current_->index;
  return current_->fiber != nullptr ? *current_->fiber : idle_fiber();
}

Fiber& BlockRunner::idle_fiber() {
  if (idle_.empty()) {
    fibers_.push_back(std::make_unique<Fiber>(
        [](Fiber& self, void* of) { static_cast<BlockRunner*>(of)->run_threads(self); }, this, fibers_.size()));
    return *fibers_.back();
  }
  Fiber& fiber = *idle_.back();
  idle_.pop_back();
  return fiber;
}

// Leaves the launch from within a thread, once there is a report. Nothing on the stack may own memory here.
void BlockRunner::stop() {
  Fiber::switch_to(*current_->fiber, host_);
  std::abort();  // this fiber is never resumed
}

void BlockRunner::stop_stuck(const char* what) {
  set_report(what + describe_threads({threads_.data(), size_}));
  stop();
}

void BlockRunner::forget_fibers() {
  idle_.clear();
  for (const auto& fiber : fibers_) {
    fiber->restart();
    idle_.push_back(fiber.get());
  }
}

}  // namespace

std::string run_blocks(const Launch& launch, Random& random) {
  thread_local BlockRunner of_this_thread;
  running = &of_this_thread;
  return running->run(launch, random);
}

void meet_block(const Site& site) { running->meet_block(site); }

void meet_warp(unsigned mask, void* operands, WarpOperation perform, const Site& site) {
  running->meet_warp(mask, operands, perform, site);
}

void fail_kernel(const char* what, const Site& site) {
  running->set_report(fmt::format("thread ({},{},{}): {} {} ({})", threadIdx.x, threadIdx.y, threadIdx.z, site.what,
                                  what, describe_place(site.where)));
  running->stop();
}

void check_shared(const void* pointer, size_t bytes, const Site& site) {
  const auto* const begin = static_cast<const unsigned char*>(pointer);
  if (begin < shared_memory_begin || begin + bytes > shared_memory_begin + shared_memory_bytes)
    fail_kernel("is outside the dynamic shared memory", site);
}

AsyncCopies& async_copies() { return running->async_copies(); }

const char* vote(unsigned mask, void* const (&operands)[32]) {
  unsigned ballot = 0;
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (operands[lane] != nullptr && static_cast<Vote*>(operands[lane])->predicate) ballot |= 1u << lane;
  }
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (operands[lane] != nullptr) static_cast<Vote*>(operands[lane])->ballot = ballot & mask;
  }
  return nullptr;
}

const char* meet_only(unsigned, void* const (&)[32]) { return nullptr; }

}  // namespace convoy::emulation
