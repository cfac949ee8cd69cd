// How much memory this machine has.
#pragma once

#include <unistd.h>

#include <cstdint>

namespace convoy {

inline int64_t memory_in_bytes() {  // physical, 0 when unknown
  const int64_t pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  return pages > 0 && page > 0 ? pages * page : 0;
}

}  // namespace convoy
