#include "apps/profile.h"

#include <fmt/format.h>

#include <algorithm>

#include "tensor/cores.h"

namespace convoy {
namespace {

CpuLimits measure(const Stream& stream) {
  return {.flops = fma_peak(stream), .memory = memory_bandwidth(stream), .difference = 0};
}

CpuLimits higher(const CpuLimits& a, const CpuLimits& b) {
  const auto apart = [](double x, double y) { return std::max(x, y) / std::min(x, y) - 1; };
  return {.flops = std::max(a.flops, b.flops),
          .memory = a.memory.best() > b.memory.best() ? a.memory : b.memory,
          .difference = std::max(apart(a.flops, b.flops), apart(a.memory.best(), b.memory.best()))};
}

}  // namespace

double CpuLimits::seconds(const KernelCost& cost) const {
  return std::max(cost.flops / flops, cost.bytes / memory.best());
}

Profile::Profile(Module& net)
    : thread_(std::this_thread::get_id()),
      stream_(current_stream()),
      limits_(measure(stream_)),
      observer_([this](const KernelCall& call) { add(call); }) {
  for (const Module::NamedModule& module : net.modules()) names_[module.module] = module.name;
}

void Profile::begin_step() {
  const std::lock_guard lock(mutex_);
  std::erase_if(calls_, [&](const Call& call) { return call.step == static_cast<int64_t>(steps_.size()); });
  recording_ = ended_ >= kFirstStep - 1 && static_cast<int64_t>(steps_.size()) <= kLastStep - kFirstStep;
  begin_ = Clock::now();
}

void Profile::end_step() {
  const std::lock_guard lock(mutex_);
  if (recording_) steps_.push_back({begin_, Clock::now()});
  recording_ = false;
  ++ended_;
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

ProfileRecord Profile::finish(const std::string& about) {
  // Not under the lock, because what is measured runs a kernel, too; steps_ is changed by this thread alone.
  try {
    if (!steps_.empty()) limits_ = higher(limits_, measure(stream_));
  } catch (const OutOfMemory&) {  // the training is done, and is not to be lost for this: the first ones count
  }
  const std::lock_guard lock(mutex_);
  ProfileRecord record{.about = about,
                       .limits = limits_,
                       .kernels = kernels(Device{}).name,
                       .threads = stream_.threads,
                       .cores = available_cores(),
                       .steps = {},
                       .calls = {}};
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
                            .kernel = call.kernel.variant == nullptr
                                          ? call.kernel.kernel
                                          : fmt::format("{} {}", call.kernel.kernel, call.kernel.variant),
                            .cost = call.kernel.cost,
                            .step = call.step,
                            .thread = thread,
                            .begin = seconds(call.kernel.begin),
                            .end = seconds(call.kernel.end)});
  }
  return record;
}

}  // namespace convoy
