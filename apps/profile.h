// Profile: the kernels that some steps of a training ran on the CPU, for which layer and when, and what this CPU can do at
// most.
//
//   Profile profile(net);
//   profile.begin_step();
//   …                                  // a step, on this thread
//   profile.end_step();
//   print(table_of(profile.finish("")));  // profile_table.h
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "layers/module.h"
#include "tensor/cpu/limits.h"
#include "tensor/kernel_observer.h"
#include "tensor/work.h"

namespace convoy {

// In a run's folder: all rows of the table, and the picture of profile_trace.h.
inline constexpr const char *kProfileTable = "profile.txt", *kProfileTrace = "profile.json";

struct CpuLimits {
  double flops = 0;        // per second
  MemoryBandwidth memory;  // bytes/s
  double difference = 0;   // between measurements that should have found the same: 0.1 is 10 %

  // The least seconds that a call can take, by what limits it more.
  double seconds(const KernelCost& cost) const;
};

struct ProfiledCall {
  std::string layer;  // "layer1.0.conv1", "layer1.0 after bn2" for what that module does itself; "loss", "optimizer"
  Work::Pass pass = Work::Pass::forward;
  std::string kernel;  // "adam_step", "conv2d_forward winograd"
  KernelCost cost;
  int64_t step = 0;           // from 0, among those recorded
  int thread = 0;             // 0: the one that trains; else one that works beside it
  double begin = 0, end = 0;  // seconds since the first recorded step began
  double seconds() const { return end - begin; }
};

struct ProfileRecord {
  struct Step {
    double begin = 0, end = 0;  // as above
  };
  std::string about;  // lines on what was trained
  CpuLimits limits;
  std::string kernels;  // "avx2"
  int threads = 1, cores = 1;
  std::vector<Step> steps;
  std::vector<ProfiledCall> calls;  // those of thread 0 in the order in which they ran
};

class Profile {
 public:
  // Steps that are recorded, the first left out: in it memory is taken for the first time.
  static constexpr int64_t kFirstStep = 2, kLastStep = 21;

  // Measures the limits of current_stream()'s threads, in less than a second and 128 MiB. While it lives, kernels are
  // observed (kernel_observer.h): it comes and goes while no thread runs them. `net` outlives it. Throws OutOfMemory.
  explicit Profile(Module& net);

  // Around a step, on the thread that trains. A step that is begun and not ended is forgotten.
  void begin_step();
  void end_step();

  // Of the steps that have ended; `about` is kept with it. Measures the limits once more, because other programs may have
  // disturbed the first time: the higher ones count.
  ProfileRecord finish(const std::string& about);

 private:
  using Clock = KernelCall::Clock;
  struct Call {
    KernelCall kernel;
    Work work;
    int64_t step;
    std::thread::id thread;
  };
  struct Step {
    Clock::time_point begin, end;
  };
  void add(const KernelCall& call);
  std::string layer_of(const Work& work) const;

  const std::thread::id thread_;
  const Stream stream_;
  CpuLimits limits_;
  std::unordered_map<const void*, std::string> names_;  // of modules; that of the network is empty

  std::mutex mutex_;
  // Guarded by mutex_, because batches are prepared by other threads meanwhile.
  int64_t ended_ = 0;  // steps, also those not recorded
  bool recording_ = false;
  Clock::time_point begin_;
  std::vector<Step> steps_;
  std::vector<Call> calls_;

  const KernelObserver observer_;  // the last, because it calls add()
};

}  // namespace convoy
