#include "autograd/function_observer.h"

namespace convoy {
namespace {

thread_local FunctionObserver* innermost_observer = nullptr;

}  // namespace

FunctionObserver::FunctionObserver(Callback callback) : callback_(std::move(callback)), previous_(innermost_observer) {
  innermost_observer = this;
}

FunctionObserver::~FunctionObserver() { innermost_observer = previous_; }

bool FunctionObserver::watching() { return innermost_observer != nullptr; }

void FunctionObserver::notify(const FunctionCall& call) {
  for (const FunctionObserver* observer = innermost_observer; observer; observer = observer->previous_)
    observer->callback_(call);
}

}  // namespace convoy
