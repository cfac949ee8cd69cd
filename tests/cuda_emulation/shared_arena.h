// The memory behind dynamic_shared(): one block's at a time, between guard zones.
#pragma once

#include <cstddef>
#include <memory>

#include "tests/cuda_emulation/guard_zone.h"

namespace convoy::emulation {

class SharedArena {
 public:
  SharedArena();
  ~SharedArena();
  SharedArena(const SharedArena&) = delete;
  SharedArena& operator=(const SharedArena&) = delete;

  void set_size(size_t bytes);  // at most kMaxSharedBytes
  unsigned char* begin() const;
  size_t bytes() const { return bytes_; }

  void poison();  // makes the contents 0xFF, NaN as floats
  bool guards_intact() const;

 private:
  unsigned char* memory_;
  size_t bytes_ = 0;
};

}  // namespace convoy::emulation
