// Asynchronous copies: what block.h promises of AsyncCopies.
#include <cstring>

#include "tests/cuda_emulation/block.h"

namespace convoy::emulation {

void AsyncCopies::issue(void* to, const void* from, unsigned bytes) {
  std::memset(to, 0xFF, bytes);  // NaN to whoever reads too early
  pending_.push_back({to, from, bytes, group_});
}

void AsyncCopies::wait(unsigned newest) {
  size_t landed = 0;
  for (; landed < pending_.size() && pending_[landed].group + newest < group_; ++landed) {
    const Copy& copy = pending_[landed];
    if (copy.from != nullptr) {
      std::memcpy(copy.to, copy.from, copy.bytes);
    } else {
      std::memset(copy.to, 0, copy.bytes);
    }
  }
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<ptrdiff_t>(landed));
}

void AsyncCopies::clear() {
  pending_.clear();
  group_ = 0;
}

}  // namespace convoy::emulation
