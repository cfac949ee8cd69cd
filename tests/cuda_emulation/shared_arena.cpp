#include "tests/cuda_emulation/shared_arena.h"

#include <new>

#include "tests/cuda_emulation/block.h"

namespace convoy::emulation {
namespace {

// Aligned to 128 bytes and no more, as dynamic_shared() promises.
constexpr size_t kOffset = kGuardZoneBytes + 128, kArenaBytes = kOffset + kMaxSharedBytes + kGuardZoneBytes;
constexpr std::align_val_t kAlignment{1024};

}  // namespace

SharedArena::SharedArena() : memory_(static_cast<unsigned char*>(operator new(kArenaBytes, kAlignment))) {
  set_size(0);
}

SharedArena::~SharedArena() {
  allow_access(memory_, kArenaBytes);
  operator delete(memory_, kAlignment);
}

void SharedArena::set_size(size_t bytes) {
  bytes_ = bytes;
  make_guard_zone(begin() - kGuardZoneBytes);
  allow_access(begin(), kArenaBytes - kOffset);
  make_guard_zone(begin() + bytes);
  forbid_access(begin() + bytes, kArenaBytes - kOffset - bytes);
}

unsigned char* SharedArena::begin() const { return memory_ + kOffset; }

void SharedArena::poison() { std::memset(begin(), 0xFF, bytes_); }

bool SharedArena::guards_intact() const {
  return guard_zone_intact(begin() - kGuardZoneBytes) && guard_zone_intact(begin() + bytes_);
}

}  // namespace convoy::emulation
