#include "tensor/work.h"

namespace convoy {
namespace {

thread_local Work now;

}  // namespace

const Work& current_work() { return now; }

WorkScope::WorkScope(const Work& work) : before_(now) { now = work; }
WorkScope::WorkScope(const void* layer) : WorkScope(Work{.layer = layer, .pass = now.pass}) {}
WorkScope::WorkScope(const char* name) : WorkScope(name, now.pass) {}
WorkScope::WorkScope(const char* name, Work::Pass pass) : WorkScope(Work{.name = name, .pass = pass}) {}

WorkScope::~WorkScope() {
  const void* const ended = now.layer;
  now = before_;
  if (now.layer != nullptr && ended != nullptr) now.after = ended;
}

}  // namespace convoy
