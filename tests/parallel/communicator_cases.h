// The communicator's suite: what every rank does in each case. Run by threads (test_communicator.cpp), by threads
// over TCP (test_tcp_transport.cpp) and by processes under mpirun (mpi/test_mpi.cpp).
#pragma once

#include <span>
#include <string>

#include "parallel/communicator.h"

namespace convoy {

struct CommunicatorCase {
  const char* name;
  void (*run)(Communicator&);  // with gtest's EXPECT_…
};
std::span<const CommunicatorCase> communicator_cases();

// Cases for communicators that sum in the order of reduce_tree().
std::span<const CommunicatorCase> reproducible_cases();

}  // namespace convoy
