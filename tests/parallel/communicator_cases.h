// The communicator's suite: what every rank does in each case. Run by threads (test_communicator.cpp), by threads
// over TCP (test_tcp_transport.cpp) and by processes under mpirun (mpi/test_mpi.cpp).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "parallel/communicator.h"

namespace convoy {

struct CommunicatorCase {
  const char* name;
  void (*run)(Communicator&);  // with gtest's EXPECT_…
};
std::span<const CommunicatorCase> communicator_cases();

// Cases for communicators that sum in the order of reduce_tree().
std::span<const CommunicatorCase> reproducible_cases();

// A case, on so many ranks that sum in this way.
template <class Way>
struct CommunicatorSetting {
  const char* way_name;
  Way way;
  int ranks;
  CommunicatorCase test;

  std::string name() const { return std::string(way_name) + "_" + std::to_string(ranks) + "_ranks_" + test.name; }
};

// All cases on 1 to 4 ranks, in any order of summation and in that of reduce_tree().
template <class Way>
std::vector<CommunicatorSetting<Way>> communicator_settings(const char* any_name, Way any, Way tree) {
  std::vector<CommunicatorSetting<Way>> all;
  for (int ranks = 1; ranks <= 4; ++ranks) {
    for (const CommunicatorCase& test : communicator_cases()) {
      all.push_back({any_name, any, ranks, test});
      all.push_back({"tree", tree, ranks, test});
    }
    for (const CommunicatorCase& test : reproducible_cases()) all.push_back({"tree", tree, ranks, test});
  }
  return all;
}

}  // namespace convoy
