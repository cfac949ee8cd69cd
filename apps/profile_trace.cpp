#include "apps/profile_trace.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace convoy {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSteps = 0, kLayers = 1, kKernels = 2;  // lanes; then one for each thread beside
constexpr int lane_of(int thread) { return kKernels + thread; }

Json lane_name(int lane, const std::string& name) {
  return {{"ph", "M"}, {"pid", 0}, {"tid", lane}, {"name", "thread_name"}, {"args", {{"name", name}}}};
}

Json lane_order(int lane) {
  return {{"ph", "M"}, {"pid", 0}, {"tid", lane}, {"name", "thread_sort_index"}, {"args", {{"sort_index", lane}}}};
}

Json span(int lane, const std::string& name, double begin, double end, Json arguments) {
  return {{"ph", "X"},
          {"pid", 0},
          {"tid", lane},
          {"name", name},
          {"ts", begin * 1e6},
          {"dur", (end - begin) * 1e6},
          {"args", std::move(arguments)}};
}

const char* suffix(Work::Pass pass) { return pass == Work::Pass::backward ? " backward" : ""; }

Json kernel_span(const ProfiledCall& call, const CpuLimits& limits) {
  const double seconds = call.seconds();
  Json arguments{{"layer", call.layer}, {"step", call.step + Profile::kFirstStep}};
  if (seconds > 0) {
    if (call.cost.flops > 0) arguments["GFLOP/s"] = call.cost.flops / seconds / 1e9;
    arguments["GB/s"] = call.cost.bytes / seconds / 1e9;
    arguments["% of limit"] = 100 * limits.seconds(call.cost) / seconds;
  }
  return span(lane_of(call.thread), call.kernel, call.begin, call.end, std::move(arguments));
}

}  // namespace

std::string trace_of(const ProfileRecord& record) {
  Json events = Json::array();
  events.push_back(
      {{"ph", "M"}, {"pid", 0}, {"name", "process_name"}, {"args", {{"name", "convoy train, " + record.kernels}}}});
  int threads = 0;
  for (const ProfiledCall& call : record.calls) threads = std::max(threads, call.thread);
  for (int lane = 0; lane <= lane_of(threads); ++lane) {
    const std::string name = lane == kSteps     ? "steps"
                             : lane == kLayers  ? "layers"
                             : lane == kKernels ? "kernels"
                                                : "kernels of loader worker " + std::to_string(lane - kKernels);
    events.push_back(lane_name(lane, name));
    events.push_back(lane_order(lane));
  }
  for (size_t i = 0; i < record.steps.size(); ++i) {
    const int64_t step = static_cast<int64_t>(i) + Profile::kFirstStep;
    events.push_back(
        span(kSteps, "step " + std::to_string(step), record.steps[i].begin, record.steps[i].end, {{"step", step}}));
  }
  // A layer's time is that from its first kernel to its last one in a row.
  const ProfiledCall *first = nullptr, *last = nullptr;
  const auto end_layer = [&] {
    if (first != nullptr)
      events.push_back(span(kLayers, first->layer + suffix(first->pass), first->begin, last->end,
                            {{"step", first->step + Profile::kFirstStep}}));
  };
  for (const ProfiledCall& call : record.calls) {
    events.push_back(kernel_span(call, record.limits));
    if (call.thread != 0) continue;
    const bool same =
        first != nullptr && first->layer == call.layer && first->pass == call.pass && first->step == call.step;
    if (!same) {
      end_layer();
      first = &call;
    }
    last = &call;
  }
  end_layer();
  return Json{{"traceEvents", std::move(events)},
              {"displayTimeUnit", "ms"},
              {"otherData",
               {{"about", record.about},
                {"limit GFLOP/s", record.limits.flops / 1e9},
                {"limit GB/s", record.limits.memory.best() / 1e9}}}}
             .dump(-1, ' ', false, Json::error_handler_t::replace) +
         "\n";
}

}  // namespace convoy
