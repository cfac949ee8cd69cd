#include "apps/profile.h"

#include <algorithm>

namespace convoy {
namespace {

double bandwidth(const MemoryBandwidth& memory) { return std::max(memory.read, memory.copy); }

}  // namespace

bool CpuLimits::bound_by_flops(const KernelCost& cost) const {
  return cost.flops / flops > cost.bytes / bandwidth(memory);
}

double CpuLimits::seconds(const KernelCost& cost) const {
  return std::max(cost.flops / flops, cost.bytes / bandwidth(memory));
}

Profile::Profile(Module& net)
    : thread_(std::this_thread::get_id()),
      stream_(current_stream()),
      limits_{.flops = fma_peak(stream_), .memory = memory_bandwidth(stream_)},
      observer_([this](const KernelCall& call) { add(call); }) {
  for (const Module::NamedModule& module : net.modules()) names_[module.module] = module.name;
}

void Profile::begin_step() {
  const std::lock_guard lock(mutex_);
  std::erase_if(calls_, [&](const Call& call) { return call.step == static_cast<int64_t>(steps_.size()); });
  ++begun_;
  recording_ = begun_ >= kFirstStep && static_cast<int64_t>(steps_.size()) <= kLastStep - kFirstStep;
  begin_ = Clock::now();
}

void Profile::end_step() {
  const std::lock_guard lock(mutex_);
  if (recording_) steps_.push_back({begin_, Clock::now()});
  recording_ = false;
}

void Profile::add(const KernelCall& call) {
  const std::lock_guard lock(mutex_);
  if (recording_)
    calls_.push_back({call, current_work(), static_cast<int64_t>(steps_.size()), std::this_thread::get_id()});
}

std::string Profile::layer_of(const Work& work) const {
  if (work.name != nullptr) return work.name;
  const auto module = names_.find(work.layer);
  if (module == names_.end()) return "outside of layers";
  const std::string& name = module->second;
  const auto after = names_.find(work.after);
  if (after == names_.end()) return name.empty() ? "network" : name;
  return name.empty() ? "after " + after->second : name + " after " + after->second.substr(name.size() + 1);
}

ProfileRecord Profile::record() const {
  const std::lock_guard lock(mutex_);
  ProfileRecord record{
      .limits = limits_, .kernels = kernels(Device{}).name, .threads = stream_.threads, .steps = {}, .calls = {}};
  if (steps_.empty()) return record;
  const auto seconds = [&](Clock::time_point when) {
    return std::chrono::duration<double>(when - steps_.front().begin).count();
  };
  for (const Step& step : steps_) record.steps.push_back({seconds(step.begin), seconds(step.end)});
  std::unordered_map<std::thread::id, int> threads{{thread_, 0}};
  for (const Call& call : calls_) {
    if (call.step == static_cast<int64_t>(steps_.size())) continue;  // of a step that has not ended
    const int thread = threads.try_emplace(call.thread, static_cast<int>(threads.size())).first->second;
    record.calls.push_back({.layer = layer_of(call.work),
                            .pass = call.work.pass,
                            .kernel = call.kernel.kernel,
                            .cost = call.kernel.cost,
                            .step = call.step,
                            .thread = thread,
                            .begin = seconds(call.kernel.begin),
                            .end = seconds(call.kernel.end)});
  }
  return record;
}

}  // namespace convoy
