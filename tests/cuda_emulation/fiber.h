// A fiber: a stack of its own, and a place to go on from. The host thread that first enters a fiber must be the only
// one to run it. Built on the assembly of Boost.Context; sanitizers are told of every switch.
#pragma once

#include <cstddef>

namespace convoy::emulation {

class Fiber {
 public:
  Fiber();  // the calling host thread itself, as something to switch from and back to
  // Not yet entered. Fibers of different `colour` keep the tops of their stacks in different lines of the cache.
  Fiber(void (*entry)(Fiber& self, void* argument), void* argument, size_t colour);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Back to "not yet entered"; what was on the stack is forgotten, its destructors never run.
  void restart();

  // Leaves `from`, which is running, and goes on in `to`. Returns when something switches to `from`.
  static void switch_to(Fiber& from, Fiber& to);

 private:
  struct Switch;
  static void arrive(Switch& by, void* context_left);

  void* context_ = nullptr;
  void (*entry_)(Fiber&, void*) = nullptr;
  void* argument_ = nullptr;
  std::byte* mapping_ = nullptr;  // guard page, then the stack; null for a host thread
  size_t colour_ = 0;

  // For the sanitizers.
  const void* stack_bottom_ = nullptr;
  size_t stack_size_ = 0;
  void* fake_stack_ = nullptr;
  void* tsan_fiber_ = nullptr;
};

}  // namespace convoy::emulation
