#include "parallel/trace.h"

#include <fmt/format.h>

#include "parallel/agreement.h"

namespace convoy {
namespace {

using std::chrono::nanoseconds;

// Names a process or a lane of the picture; `order` is its place from above.
std::string label(int rank, int lane, const char* what, const std::string& name, int order) {
  return fmt::format(
      R"({{"ph":"M","pid":{0},"tid":{1},"name":"{2}_name","args":{{"name":"{3}"}}}},
{{"ph":"M","pid":{0},"tid":{1},"name":"{2}_sort_index","args":{{"sort_index":{4}}}}})",
      rank, lane, what, name, order);
}

}  // namespace

Trace::Trace(const Layout& layout, Communicator* others) : layout_(layout) {
  // The processes of a host share the system's clock; it may be set in between, the steady one may not.
  const nanoseconds system = std::chrono::system_clock::now().time_since_epoch();
  const nanoseconds steady = Clock::now().time_since_epoch();
  nanoseconds first = system;
  if (others != nullptr) others->broadcast(std::as_writable_bytes(std::span(&first, 1)));
  origin_ = steady + (first - system);
}

void Trace::begin_step(int64_t step) {
  step_ = step >= kFirstStep && step <= kLastStep ? step : 0;
  step_begin_ = Clock::now();
}

void Trace::end_step() {
  add(kStep, "step", step_begin_, Clock::now());
  step_ = 0;
}

void Trace::add(int lane, const char* name, Clock::time_point begin, Clock::time_point end, int64_t bytes) {
  if (step_ == 0) return;
  const std::lock_guard lock(mutex_);
  events_.push_back({lane, name, begin, end, step_, bytes});
}

double Trace::microseconds(Clock::time_point when) const {
  return static_cast<double>((when.time_since_epoch() - origin_).count()) / 1000;
}

std::string Trace::own_json() const {
  const int rank = layout_.rank;
  std::string text = label(rank, 0, "process", fmt::format("rank {} on {}", rank, host_name()), rank);
  text += ",\n" + label(rank, kStep, "thread", "step", 0);
  for (int shard = 0; shard < layout_.local_shards(); ++shard) {
    text += ",\n" + label(rank, of_shard(static_cast<size_t>(shard)), "thread",
                          fmt::format("compute: replica {}, shard {}", layout_.replica_of(shard), shard), 1 + shard);
  }
  text += ",\n" + label(rank, kCommunication, "thread", "communication", 1 + layout_.local_shards());
  for (const Event& event : events_) {
    const double begin = microseconds(event.begin), end = microseconds(event.end);
    text += fmt::format(
        ",\n"
        R"({{"ph":"X","pid":{},"tid":{},"name":"{}","ts":{:.3f},"dur":{:.3f},"args":{{"step":{})",
        rank, event.lane, event.name, begin, end - begin, event.step);
    text += event.bytes > 0 ? fmt::format(R"(,"bytes":{}}}}})", event.bytes) : "}}";
  }
  return text;
}

std::string Trace::json(Communicator* others) const {
  const std::string own = own_json();
  const std::vector<std::string> all = others == nullptr ? std::vector{own} : all_gather_text(*others, own);
  return fmt::format("{{\"traceEvents\":[\n{}\n]}}\n", fmt::join(all, ",\n"));
}

}  // namespace convoy
