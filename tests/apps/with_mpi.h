// Whether the program under test can have ranks.
#pragma once

#include "tests/apps/run_convoy.h"

namespace convoy {

inline constexpr const char* kWithoutMpi = "this build has no MPI";

inline bool with_mpi() {
  static const bool with = [] {
    const TemporaryFolder folder;
    return run_convoy(folder, {"info"}).out.find("mpi: no") == std::string::npos;
  }();
  return with;
}

}  // namespace convoy
