#include "tests/cuda_emulation/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <boost/context/detail/fcontext.hpp>
#include <cstdio>
#include <cstdlib>

#include "tests/cuda_emulation/sanitizer.h"

namespace convoy::emulation {
namespace {

namespace context = boost::context::detail;

constexpr size_t kGuardBytes = 4096;
// Only pages that are touched take memory. Frames are larger in instrumented code.
constexpr size_t kStackBytes = kAddressSanitizer ? 512 << 10 : 128 << 10;

std::byte* map_stack() {
  void* memory = mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, kGuardBytes, PROT_NONE) != 0) {
    std::perror("cuda emulation: no memory for the stack of a fiber");
    std::abort();
  }
  return static_cast<std::byte*>(memory);
}

}  // namespace

struct Fiber::Switch {
  Fiber* from;
  Fiber* to;
};

Fiber::Fiber() {
#ifdef __SANITIZE_THREAD__
  tsan_fiber_ = __tsan_get_current_fiber();
#endif
}

Fiber::Fiber(void (*entry)(Fiber&, void*), void* argument, size_t colour)
    : entry_(entry), argument_(argument), mapping_(map_stack()), colour_(colour) {
  restart();
}

Fiber::~Fiber() {
  if (mapping_ == nullptr) return;
  allow_access(mapping_ + kGuardBytes, kStackBytes);
  munmap(mapping_, kGuardBytes + kStackBytes);
#ifdef __SANITIZE_THREAD__
  __tsan_destroy_fiber(tsan_fiber_);
#endif
}

void Fiber::restart() {
  // Stacks are aligned alike; without an offset their tops would fight for the same few lines of the cache.
  constexpr size_t kLine = 64, kColours = 64;
  std::byte* const bottom = mapping_ + kGuardBytes;
  const size_t size = kStackBytes - colour_ % kColours * kLine;
  allow_access(bottom, kStackBytes);
  stack_bottom_ = bottom;
  stack_size_ = size;
  fake_stack_ = nullptr;
#ifdef __SANITIZE_THREAD__
  if (tsan_fiber_ != nullptr) __tsan_destroy_fiber(tsan_fiber_);
  tsan_fiber_ = __tsan_create_fiber(0);
#endif
  context_ = context::make_fcontext(bottom + size, size, [](context::transfer_t transfer) {
    Switch& by = *static_cast<Switch*>(transfer.data);
    arrive(by, transfer.fctx);
    Fiber& self = *by.to;
    self.entry_(self, self.argument_);
    std::abort();  // an entry never returns: there would be nowhere to go
  });
}

void Fiber::switch_to(Fiber& from, Fiber& to) {
  Switch self{&from, &to};
  void* const goal = to.context_;
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(&from.fake_stack_, to.stack_bottom_, to.stack_size_);
#endif
#ifdef __SANITIZE_THREAD__
  __tsan_switch_to_fiber(to.tsan_fiber_, 0);
#endif
  const context::transfer_t transfer = context::jump_fcontext(goal, &self);
  arrive(*static_cast<Switch*>(transfer.data), transfer.fctx);
}

void Fiber::arrive(Switch& by, void* context_left) {
#ifdef __SANITIZE_ADDRESS__
  // The bounds of a host thread's stack are learnt when it is first left.
  __sanitizer_finish_switch_fiber(by.to->fake_stack_, &by.from->stack_bottom_, &by.from->stack_size_);
#endif
  by.from->context_ = context_left;
}

}  // namespace convoy::emulation
