// The communicator's suite among processes: mpirun starts this program on every rank, and all run the same cases in the
// same order.
#include <gtest/gtest.h>

#include "parallel/background_all_reduce.h"
#include "parallel/mpi.h"
#include "parallel/ring_all_reduce.h"
#include "parallel/tree_all_reduce.h"
#include "tests/parallel/communicator_cases.h"

namespace convoy {
namespace {

mpi::Session* session = nullptr;

struct Setting {
  const char* algorithm_name;
  AllReduceAlgorithm algorithm;
  CommunicatorCase test;
};

std::vector<Setting> settings() {
  std::vector<Setting> all;
  for (const CommunicatorCase& test : communicator_cases()) {
    all.push_back({"ring", ring_all_reduce, test});
    all.push_back({"tree", tree_all_reduce, test});
    all.push_back({"library", mpi::all_reduce, test});
  }
  for (const CommunicatorCase& test : reproducible_cases()) all.push_back({"tree", tree_all_reduce, test});
  return all;
}

class Mpi : public testing::TestWithParam<Setting> {};

TEST_P(Mpi, communicator) {
  Communicator communicator(session->open_transport(),
                            make_background_all_reduce(session->open_transport(), GetParam().algorithm));
  GetParam().test.run(communicator);
}

INSTANTIATE_TEST_SUITE_P(all, Mpi, testing::ValuesIn(settings()), [](const auto& info) {
  return std::string(info.param.algorithm_name) + "_" + info.param.test.name;
});

}  // namespace
}  // namespace convoy

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  convoy::mpi::Session session;
  convoy::session = &session;
  if (session.rank() != 0) {  // one report is enough; failures are printed by all
    testing::TestEventListeners& listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
  }
  const int status = RUN_ALL_TESTS();
  if (session.rank() == 0) printf("%d ranks\n", session.size());
  return status;
}
