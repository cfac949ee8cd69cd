// KernelObserver: sees every kernel that the CPU runs: which, what it cost and when. No kernel and no caller knows of it,
// because it stands in the kernel table, between them.
//
//   double flops = 0;
//   const KernelObserver observer([&](const KernelCall& call) { flops += call.cost.flops; });
#pragma once

#include <chrono>
#include <functional>

#include "tensor/kernel_cost.h"

namespace convoy {

struct KernelCall {
  using Clock = std::chrono::steady_clock;
  const char* kernel;   // the row's name, "conv2d_forward": one pointer for each row
  const char* variant;  // which function or algorithm, "tanh" or "winograd"; null where a row has one alone
  KernelCost cost;
  Clock::time_point begin, end;
};

// While one lives, it is called after every kernel of the CPU, on the thread that called the kernel. It comes and goes
// while no thread runs kernels; one at a time, another throws Error(internal).
class KernelObserver {
 public:
  using Callback = std::function<void(const KernelCall&)>;
  explicit KernelObserver(Callback callback);
  ~KernelObserver();
  KernelObserver(const KernelObserver&) = delete;
  KernelObserver& operator=(const KernelObserver&) = delete;
};

}  // namespace convoy
